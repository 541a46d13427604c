"""Finds the folders with the images for training, validation and test."""

from collections.abc import Iterable

from kvision import checks

__all__ = ["NAMES", "TEST", "TRAIN", "VALIDATION", "folders"]

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = {TRAIN: (TRAIN,), VALIDATION: ("val", "valid", VALIDATION), TEST: (TEST,)}
"""The accepted names of the folder of each part, in lower case."""


def folders(names: Iterable[str], *, argument: str) -> dict[str, str]:
    """Finds the folders of the parts.

    Args:
        names: Names of folders.
        argument: Name of the argument with the dataset, for errors.

    Returns:
        Dict from each part to the name of its folder. The parts are train and test, or all three parts. If there is a
        folder for validation and no folder for test, as in many published datasets, the validation folder is the test
        part. The dict is empty unless there is a folder for training and a second folder.

    Raises:
        UserError: If two folders are for the same part.
    """
    names = sorted(names)
    found: dict[str, str] = {}
    for part, known in NAMES.items():
        same = [name for name in names if name.lower() in known]
        if len(same) > 1:
            raise checks.UserError(
                argument,
                problem="has two folders for one part",
                expected=f"one of the folders {', '.join(known)}",
                received=same,
                hint="Move one of them out of this folder",
            )
        if same:
            found[part] = same[0]
    if TRAIN not in found or len(found) < 2:
        return {}
    if TEST not in found:
        return {TRAIN: found[TRAIN], TEST: found[VALIDATION]}
    return found
