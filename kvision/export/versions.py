"""TF Serving's layout: a model is a folder of versions, each a SavedModel in a folder named by its number."""

from pathlib import Path

__all__ = ["newest", "numbers"]


def numbers(folder: Path) -> list[int]:
    """The numbers of all version folders in `folder`, whatever is in them."""
    return [int(entry.name) for entry in folder.glob("*") if entry.is_dir() and entry.name.isdecimal()]


def newest(path: Path) -> Path | None:
    """`path` itself if it is a SavedModel, else the one with the highest number in it, else None."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*") if entry.name.isdecimal() and (entry / "saved_model.pb").is_file()]
    return max(versions, key=lambda entry: int(entry.name), default=None)
