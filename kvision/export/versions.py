"""TF Serving's layout: a model is a folder of versions, each a SavedModel in a folder named by its number."""

from pathlib import Path

from kvision import checks

__all__ = ["newest", "numbers", "require"]


def numbers(folder: Path) -> list[int]:
    """The numbers of all version folders in `folder`, whatever is in them."""
    return [int(entry.name) for entry in folder.glob("*") if entry.is_dir() and entry.name.isdecimal()]


def newest(path: Path) -> Path | None:
    """`path` itself if it is a SavedModel, else the one with the highest number in it, else None."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*") if entry.name.isdecimal() and (entry / "saved_model.pb").is_file()]
    return max(versions, key=lambda entry: int(entry.name), default=None)


def require(path: Path, *, or_a: str = "") -> Path:
    """Returns the `newest` version of a model.

    Args:
        path: The folder of a version, or of all versions.
        or_a: What else the caller takes, for the error: "a .tflite file, " say.

    Raises:
        kvision.UserError: If there is none.
    """
    if version := newest(path):
        return version
    raise checks.error(
        "MODEL",
        problem="names no model" if path.exists() else "does not exist",
        expected=f"{or_a}a SavedModel folder (with saved_model.pb in it), or the folder of its versions",
        received=str(path),
    )
