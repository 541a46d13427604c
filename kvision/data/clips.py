"""Finds the clips of a folder: videos, and images whose names end with the number of a frame."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvision import checks
from kvision.data import parts
from kvision.data.class_layout import IMAGE_SUFFIXES
from kvision.data.hidden import hidden
from kvision.pixels.media_file import VIDEO_SUFFIXES

__all__ = ["LAYOUT", "FoundClip", "find", "interrupted"]

LAYOUT = (
    "videos, or images whose names end with the number of the frame, such as clip_0001.png, at any depth; or train/ "
    "with any of val/ and test/, laid out so"
)
_NUMBERED = re.compile(r"(.*?)[^0-9a-zA-Z]*[a-zA-Z]?([0-9]+)$")  # such as 0006R0_f00930
_GAP = 2.0  # times the usual step between two numbers; a larger step is a gap in the clip


@dataclass(frozen=True)
class FoundClip:
    """The files of a clip, before they are read.

    Attributes:
        name: The name without the folder, such as `0006R0` or `film.mp4`. Clips of the same name belong together.
        files: One video, or the images in the order of their numbers.
        numbers: The number of each image. Empty for a video.
        part: "train", "validation" or "test". None if the folder has no parts.
    """

    name: str
    files: tuple[Path, ...]
    numbers: tuple[int, ...]
    part: str | None

    @property
    def is_video(self) -> bool:
        """Whether the clip is a video file."""
        return not self.numbers


def find(folder: Path, *, argument: str = "folder") -> list[FoundClip]:
    """Finds the clips of a folder. Hidden files and folders are skipped. No file is opened.

    Images of one clip are in one folder, and their names are equal up to the number at the end. An image without a
    number is a clip of one frame.

    Args:
        folder: The folder.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The clips, sorted by their paths.

    Raises:
        UserError: If there is no such folder, or there is no video and no image in it.
    """
    if not folder.is_dir():
        raise checks.UserError(argument, problem="names no folder", expected=LAYOUT, received=str(folder))
    inner = [path.name for path in folder.iterdir() if path.is_dir() and not hidden(path.name)]
    sides = parts.folders(inner, argument=argument)
    found = [clip for part, name in (sides or {None: "."}).items() for clip in _of_folder(folder / name, part)]
    if not found:
        raise checks.UserError(argument, problem="has no video and no image", expected=LAYOUT, received=str(folder))
    return sorted(found, key=lambda clip: clip.files[0])


def interrupted(numbers: tuple[int, ...]) -> np.ndarray:
    """Finds gaps in the numbers of a clip.

    Args:
        numbers: Numbers of the images, in increasing order.

    Returns:
        `(n,)` bool: whether frames are missing before an image, because its number is more than twice the usual step
        after the last one.
    """
    steps = np.diff(numbers)
    gaps = steps > _GAP * np.median(steps) if len(steps) else np.zeros(0, bool)
    return np.concatenate([[False], gaps]) if numbers else np.zeros(0, bool)


def _of_folder(folder: Path, part: str | None) -> list[FoundClip]:
    videos, images = [], {}
    for path in sorted(folder.rglob("*")):
        if any(map(hidden, path.relative_to(folder).parts)) or not path.is_file():
            continue
        suffix = path.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            videos.append(FoundClip(path.name, (path,), (), part))
        elif suffix in IMAGE_SUFFIXES:
            match = _NUMBERED.match(path.stem)
            name, number = (match[1], int(match[2])) if match else (path.stem, 0)
            images.setdefault((path.parent, name, suffix), []).append((number, path))
    clips = []
    for (_, name, _), files in images.items():
        files.sort()
        clips.append(FoundClip(name, tuple(path for _, path in files), tuple(number for number, _ in files), part))
    return videos + clips
