"""The layout of a folder of labeled images: finds folders of classes, and folders of parts of the dataset."""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kvision import checks, class_names
from kvision.data import parts
from kvision.data.hidden import hidden

__all__ = ["IMAGE_SUFFIXES", "LAYOUT", "Layout", "classes", "named_image", "read"]

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
_UNREADABLE = {".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2"}  # images that are listed as bad, and not passed over
LAYOUT = "one sub-folder per class with images in it (or folders `train` and `test`, or `val`, laid out so)"
_PARTS = {"training", "testing", "unlabeled", "unlabelled", *(name for names in parts.NAMES.values() for name in names)}
_SHOWN = 10


@dataclass(frozen=True)
class Layout:
    """The layout of a folder, before kvision checks which class folders contain images.

    Attributes:
        folder: The folder.
        argument: Name of the argument with the folder, for errors.
        sides: Dict from the name of each folder of a part, with a slash at the end, to the part. `{"": None}` if the
            class folders are directly in the folder.
        candidates: For each key of `sides`, the names of the folders inside it.
        notes: One sentence for each entry that is not a class and is not read.
    """

    folder: Path
    argument: str
    sides: dict[str, str | None]
    candidates: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def places(self) -> list[str]:
        """Paths of all folders that may be classes, relative to the folder."""
        return [f"{side}{name}" for side, names in zip(self.sides, self.candidates, strict=True) for name in names]


def read(folder: Path, *, argument: str = "folder") -> Layout:
    """Finds the folders that may be classes.

    Args:
        folder: The folder of the dataset.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The layout.

    Raises:
        UserError: If a folder has the name of a part, such as `test`, and the remaining parts are missing. Such a
            folder could be a class or a part.
    """
    sides, unread = _sides(folder, argument)
    notes = [f"the folder {name} beside {' and '.join(sides)} is not read" for name in unread]
    candidates = []
    for side in sides:
        inner = [entry for entry in (folder / side).iterdir() if not hidden(entry.name)]
        links = sorted(entry.name for entry in inner if entry.is_symlink() and entry.is_dir())
        notes += [f"the folder {side}{name} is a link, which is not followed" for name in links]
        if loose := sum(named_image(entry) for entry in inner):
            notes.append(f"{loose} images lie outside of class folders{side and ' in '}{side} and are not read")
        candidates.append(tuple(_folders(folder / side)))
    return Layout(folder, argument, sides, tuple(candidates), tuple(notes))


def classes(layout: Layout, holding: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Decides which folders are classes.

    Args:
        layout: The layout of a folder.
        holding: The entries of `layout.places` that contain images.

    Returns:
        The sorted class names, and the notes of the layout. One note is added for each folder that is not a class.

    Raises:
        UserError: If there are fewer than two classes, if a class has images in only one part, or if a folder name is
            not valid as a class name.
    """
    folder, notes = layout.folder, list(layout.notes)
    kept = [
        [name for name in names if f"{side}{name}" in holding]
        for side, names in zip(layout.sides, layout.candidates, strict=True)
    ]
    for side, names in zip(layout.sides, layout.candidates, strict=True):
        empty = [name for name in names if not any(name in one for one in kept)]
        notes += [f"the folder {side}{name} is not a class: {_no_image(folder / side / name)}" for name in empty]
    if apart := sorted(set().union(*kept) - set(kept[0]).intersection(*kept[1:])):
        _wrong(
            layout.argument,
            folder,
            f"has classes that lack images in one of {' and '.join(layout.sides)}",
            received=apart[:_SHOWN],
            hint="Put images of these classes into each of these folders, or take them out of all",
        )
    if len(kept[0]) < 2:
        count = f"{len(kept[0])} class folder{'' if len(kept[0]) == 1 else 's'} with images"
        _wrong(layout.argument, folder, f"has {count} where two are needed", hint=_next_step(layout))
    hint = "Rename these folders, or put their images into one"
    return class_names.check(layout.argument, kept[0], hint=hint), tuple(notes)


def named_image(path: Path) -> bool:
    """Returns whether the name of a file has the suffix of an image, of a kind that can be read or not."""
    return path.suffix.lower() in IMAGE_SUFFIXES | _UNREADABLE and not hidden(path.name)


def _folders(folder: Path) -> list[str]:
    return sorted(e.name for e in folder.iterdir() if e.is_dir() and not e.is_symlink() and not hidden(e.name))


def _sides(folder: Path, argument: str) -> tuple[dict[str, str | None], list[str]]:
    """Returns the folders of parts, and the remaining folders."""
    names = _folders(folder)
    if found := parts.folders(names, argument=argument):
        return {f"{name}/": part for part, name in found.items()}, [n for n in names if n not in found.values()]
    like_parts = [name for name in names if name.lower() in _PARTS]
    train = [name for name in like_parts if name.lower() == parts.TRAIN]
    # A class may be called "train" (the vehicle). Then images are directly in the folder "train".
    vehicle = like_parts == train and len(names) > 1 and any(map(named_image, (folder / n).iterdir()) for n in train)
    if like_parts and not vehicle:
        problem = "has folders that are named like parts of a dataset and not like classes"
        hint = f"Move these folders elsewhere; if one is a class, give it another name, such as class_{like_parts[0]}"
        if train:
            problem = "has a folder for training and none for the test"
            hint = f"Read {folder / train[0]} instead, which is then split, or add a folder `test` of the same layout"
        _wrong(argument, folder, problem, received=like_parts, hint=hint)
    return {"": None}, []


def _no_image(folder: Path) -> str:
    files = (Path(file) for *_, inner in os.walk(folder) for file in inner)
    suffixes = Counter(file.suffix.lower() or file.name for file in files)
    kinds = ", ".join(f"{count} of {suffix}" for suffix, count in suffixes.most_common(3))
    return f"it holds no file named like an image ({' '.join(sorted(IMAGE_SUFFIXES))})" + (kinds and f", but {kinds}")


def _next_step(layout: Layout) -> str:
    names = [f"{next(iter(layout.sides))}{name}" for name in layout.candidates[0]]
    if len(names) == 1 and len(_folders(layout.folder / names[0])) > 1:
        return f"Read {layout.folder / names[0]} instead, which holds folders itself"
    facts = "; ".join(layout.notes[:3])
    return "Put the images of each class into a folder of its own" + (facts and f" ({facts})")


def _wrong(argument: str, folder: Path, problem: str, *, received: object = None, hint: str) -> NoReturn:
    shown = str(folder) if received is None else f"{received} in {folder}"
    raise checks.UserError(argument, problem=problem, expected=LAYOUT, received=shown, hint=hint)
