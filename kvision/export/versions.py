"""The folder layout of TF Serving. A model is a folder of versions. A version is a SavedModel in a numbered folder."""

from pathlib import Path

from kvision import checks

__all__ = ["newest", "numbers", "require"]


def numbers(folder: Path) -> list[int]:
    """Returns the numbers of all version folders in `folder`, including empty folders."""
    return [int(entry.name) for entry in folder.glob("*") if entry.is_dir() and entry.name.isdecimal()]


def newest(path: Path) -> Path | None:
    """Returns `path` if it is a SavedModel. Otherwise returns its version with the highest number, or None."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*") if entry.name.isdecimal() and (entry / "saved_model.pb").is_file()]
    return max(versions, key=lambda entry: int(entry.name), default=None)


def require(path: Path, *, or_a: str = "", argument: str = "path") -> Path:
    """Returns the newest version of a model.

    Args:
        path: The folder of a version, or the folder of all versions.
        or_a: An alternative that the caller accepts, for the error, such as "a .tflite file, ".
        argument: Name of `path` in the error.

    Returns:
        The folder of the version.

    Raises:
        UserError: If there is no version.
    """
    if version := newest(path):
        return version
    raise checks.UserError(
        argument,
        problem="holds no model" if path.exists() else "does not exist",
        expected=f"{or_a}a SavedModel folder (with saved_model.pb in it), or the folder of its versions",
        received=str(path),
    )
