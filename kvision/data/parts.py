"""The parts of a data set: which folders hold the images to train on, to choose by and for the report."""

from collections.abc import Iterable

from kvision import checks

__all__ = ["NAMES", "TEST", "TRAIN", "VALIDATION", "folders"]

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = {TRAIN: (TRAIN,), VALIDATION: ("val", "valid", VALIDATION), TEST: (TEST,)}
"""The names of each part's folder, in lower case."""


def folders(names: Iterable[str]) -> dict[str, str]:
    """Finds the folders of the parts.

    Args:
        names: Names of folders.

    Returns:
        The folder of each part, as it is spelled: of `train` and `test`, or of all three parts. Where there is a folder
        for validation and none for testing, as in many published data sets, that folder is the test part. Empty if
        there are not a folder to train on and another one.

    Raises:
        kvision.UserError: If two folders are the same part.
    """
    names = sorted(names)
    found: dict[str, str] = {}
    for part, known in NAMES.items():
        same = [name for name in names if name.lower() in known]
        if len(same) > 1:
            raise checks.error(
                "data",
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
