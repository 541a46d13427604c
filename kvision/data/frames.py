"""Frames of clips with their neighboring frames, for networks that color videos."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision import checks
from kvision.data import clip_files, clips
from kvision.data.clip_files import Clip
from kvision.data.scan import BadFile
from kvision.luma_chroma import luma
from kvision.pixels.optical_flow import optical_flow
from kvision.progress import Bar

if TYPE_CHECKING:  # scanning a folder does not wait for Keras
    import keras

__all__ = ["Frames", "clip_split", "from_clips"]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of clips. Each example is a frame with its neighbors. `kv.data.from_clips` creates them.

    Attributes:
        folder: The folder.
        clips: All clips of the folder. Neighbors are taken from here, also if they are not examples themselves.
        rows: `(n, 2)` integers: the clip and the place in the clip of each example.
        neighbors: Number of neighbors of each frame, an even number.
        pairs: Whether an example also has the previous frame with its neighbors and the optical flow to it.
        longest_side: Longest side in pixels. Larger frames are made smaller. If None, all frames keep their size.
        part: `(n,)` "train", "validation" or "test". None if the folder has no parts.
        bad: Files that cannot be used or are damaged, with the reasons.
        notes: Sentences for the report.
    """

    folder: Path
    clips: tuple[Clip, ...]
    rows: np.ndarray
    neighbors: int
    pairs: bool
    longest_side: int | None
    part: np.ndarray | None
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def _of_rows(self, field: str) -> tuple:
        return tuple(getattr(self.clips[clip], field)[place] for clip, place in self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Relative path of the file of each frame. For a video the number of the frame is added, as in `film.mp4#7`."""
        names = []
        for clip, place in self.rows:
            path = self.clips[clip].files[place].relative_to(self.folder).as_posix()
            names.append(path if self.clips[clip].pixels is None else f"{path}#{place}")
        return tuple(names)

    @property
    def clip_names(self) -> tuple[str, ...]:
        """Name of the clip of each frame, without its folder."""
        return tuple(self.clips[clip].name for clip, _ in self.rows)

    @property
    def file_hashes(self) -> tuple[str, ...]:
        """SHA-256 of the file of each frame. For a video the number of the frame is added."""
        return self._of_rows("file_hashes")

    @property
    def pixel_hashes(self) -> tuple[str, ...]:
        """Hash of the decoded pixels of each frame. Exact copies have equal hashes."""
        return self._of_rows("pixel_hashes")

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each frame in its file."""
        return self._of_rows("sizes")

    @property
    def fingerprint(self) -> str:
        """A hash that changes with any frame or neighbor, with the order and with the settings."""
        windows = [[self.clips[c].file_hashes[p] for p in self._places(c, p)] for c, p in self.rows]
        text = repr([self.file_hashes, windows, self.neighbors, self.pairs, self.longest_side])
        return hashlib.sha256(text.encode()).hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "Frames":
        """Returns the frames at `indices`, in that order. They keep their neighbors."""
        part = None if self.part is None else self.part[list(indices)]
        return replace(self, rows=self.rows[list(indices)], part=part)

    def some(self, count: int, *, seed: int = 0) -> "Frames":
        """Returns `count` random frames in their order, chosen by `seed`, or all frames if there are not more."""
        if count >= len(self):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def of_clips(self, names: Iterable[str]) -> "Frames":
        """Returns the frames of some clips.

        Args:
            names: Names of clips; see `clip_names`.

        Returns:
            The frames of all clips with these names.

        Raises:
            UserError: If there is no clip with one of the names.
        """
        names = list(names)
        known = sorted(set(self.clip_names))
        for name in names:
            checks.one_of("names", name, known)
        return self.subset([i for i, name in enumerate(self.clip_names) if name in names])

    def path(self, index: int) -> str:
        """Returns the path of the file of a frame."""
        clip, place = self.rows[index]
        return str(self.clips[clip].files[place])

    def original(self, index: int) -> np.ndarray:
        """Reads a frame: an image in its own size, or a frame of a video in at most `longest_side`.

        Args:
            index: Place in this dataset.

        Returns:
            `(height, width, 3)` uint8.

        Raises:
            UserError: If the file has changed since it was first read.
        """
        clip, place = self.rows[index]
        return self.clips[clip].frame(place, None)

    def example(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads a frame and the frames that belong to it.

        Args:
            index: Place in this dataset.

        Returns:
            The frame `(height, width, 3)` uint8, and `(m, height, width, 3)` uint8: its neighbors, oldest first. If
            `pairs` is true, the previous frame and its neighbors follow.
        """
        clip, place = self.rows[index]
        image = self.clips[clip].frame(place, self.longest_side)
        others = [self.clips[clip].frame(one, self.longest_side) for one in self._places(clip, place)]
        return image, np.stack(others) if others else np.zeros((0, *image.shape), "uint8")

    def _places(self, clip: int, place: int) -> list[int]:
        """Returns the places of the frames that belong to a frame."""
        half = self.neighbors // 2
        places = self.clips[clip].window(place, half)
        if self.pairs:
            (previous, _) = self.clips[clip].window(place, 1)
            places += [previous, *self.clips[clip].window(previous, half)]
        return places

    def stack(self, examples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns a batch of the results of `kv.augment.FrameAugment`.

        Args:
            examples: For each example the frame, and the other frames with a plane of weights behind each of them,
                `(m, height, width, 4)`.

        Returns:
            The inputs and the targets. Inputs: `image` `(n, height, width, 3)` uint8, and `neighbors`
            `(n, height, width, neighbors)` float32 luma, if there are any. If `pairs` is true, also `previous`,
            `previous_neighbors`, `flow` `(n, height, width, 2)` and `mask` `(n, height, width)`, for
            `kv.losses.temporal_error`. Targets: `(n, height, width, 4)` uint8: the frame in color, and a weight of 1,
            or 0 for pixels outside of the frame.
        """
        images = np.stack([image for image, _ in examples])
        others = np.stack([other for _, other in examples])
        inputs: dict[str, np.ndarray] = {"image": images[..., :3]}
        gray = luma(others[..., :3])[..., 0]
        if self.neighbors:
            inputs["neighbors"] = np.moveaxis(gray[:, : self.neighbors], 1, 3)
        if self.pairs:
            inputs["previous"] = others[:, self.neighbors, ..., :3]
            if self.neighbors:
                inputs["previous_neighbors"] = np.moveaxis(gray[:, self.neighbors + 1 :], 1, 3)
            flows = [
                optical_flow(a, b) for a, b in zip(luma(inputs["image"])[..., 0], gray[:, self.neighbors], strict=True)
            ]
            inputs["flow"] = np.stack([one.flow for one in flows])
            inputs["mask"] = np.stack([one.mask for one in flows]) * images[..., 3]
        return inputs, images

    def spec(self, height: int, width: int) -> tuple[dict[str, "keras.KerasTensor"], "keras.KerasTensor"]:
        """Returns a batch of this size as `keras.KerasTensor` objects; see `kv.data.Augmentable`."""
        import keras

        def tensor(kind: str, *channels: int) -> Any:
            return keras.KerasTensor((None, height, width, *channels), kind)

        inputs = {"image": tensor("uint8", 3)}
        if self.neighbors:
            inputs["neighbors"] = tensor("float32", self.neighbors)
        if self.pairs:
            inputs["previous"] = tensor("uint8", 3)
            if self.neighbors:
                inputs["previous_neighbors"] = tensor("float32", self.neighbors)
            inputs |= {"flow": tensor("float32", 2), "mask": tensor("float32")}
        return inputs, tensor("uint8", 4)


def from_clips(
    folder: str | Path,
    *,
    neighbors: int = 2,
    pairs: bool = False,
    every: int = 1,
    longest_side: int | None = None,
    progress: bool = True,
    argument: str = "folder",
) -> Frames:
    """Reads every frame of a folder of videos or of numbered images once.

    Images of one clip are in one folder, and their names are equal up to the number at the end: `0006R0_f00930.png`
    belongs to the clip `0006R0`. Neighbors are never taken over a cut, over a gap in the numbers, or from another
    folder. Clips without color are left out, because a network cannot learn colors from them. If the folder contains
    `train` and at least one of `val` (or `valid`, `validation`) and `test`, these are parts.

    Videos need the extra `video`. Their frames are kept in a temporary file in the size `longest_side`.

    Args:
        folder: The folder.
        neighbors: Number of neighbors of each frame, an even number: half of them before and half of them after it.
        pairs: Whether examples contain the previous frame and the optical flow to it, for the temporal loss. This needs
            the extra `detection`.
        every: Of a video, use every N-th frame as an example. Its neighbors are the frames right beside it.
        longest_side: Longest side of the frames in pixels. If None, all frames keep their size.
        progress: Whether to show a progress bar on standard error.
        argument: Name of the argument with the folder, for errors.

    Returns:
        The frames.

    Raises:
        UserError: If an argument is not valid, or the folder has no frame in color.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for number in range(3):
        ...     Image.new("RGB", (8, 8), (200, 50, number)).save(folder / f"clip_{number}.png")
        >>> frames = kv.data.from_clips(folder, neighbors=2, progress=False)
        >>> len(frames), frames.clip_names[0], frames.example(1)[1].shape
        (3, 'clip', (2, 8, 8, 3))
    """
    checks.positive({"every": every, "longest_side": longest_side})
    if neighbors < 0 or neighbors % 2:
        raise checks.UserError("neighbors", expected="an even number, at least 0", received=neighbors)
    folder, read, bad, gray = Path(folder), [], [], []
    found = clips.find(folder, argument=argument)
    for one in Bar(found, "clips", unit=" clips", disable=not progress):
        clip, problems = _read(one, longest_side=longest_side, every=every, reach=neighbors // 2 + pairs)
        bad += [BadFile(path.relative_to(folder).as_posix(), reason) for path, reason in problems]
        if clip is not None:
            (read if clip.colorful else gray).append(clip)
    if not read:
        hint = f"{bad[0].path}: {bad[0].reason}" if bad else f"{len(gray)} clips without color are left out"
        raise checks.UserError(
            argument, problem="has no clip in color", expected=clips.LAYOUT, received=str(folder), hint=hint
        )
    steps = [1 if clip.pixels is None else every for clip in read]
    rows = [(c, p) for c, clip in enumerate(read) for p in range(0, len(clip.labels), steps[c])]
    part = [read[c].part for c, _ in rows]
    return Frames(
        folder=folder,
        clips=tuple(read),
        rows=np.array(rows),
        neighbors=neighbors,
        pairs=pairs,
        longest_side=longest_side,
        part=None if None in part else np.array(part),
        bad=tuple(bad),
        notes=tuple(_notes(read, gray)),
    )


def clip_split(dataset: Frames, *, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits frames so that all frames of a clip are in one part. Neighboring frames are almost copies.

    Args:
        dataset: The frames.
        fraction: Share of the frames, in (0, 1), that go to the small part. Whole clips are taken in a random order, as
            long as they fit, but at least the smallest one.
        seed: Seed of the order.

    Returns:
        Two sorted integer arrays of indices: the large part and the small part.

    Raises:
        UserError: If `fraction` is not in (0, 1), or there is only one clip.
    """
    if not 0 < fraction < 1:
        raise checks.UserError("fraction", expected="a number between 0 and 1", received=fraction)
    counts = Counter(dataset.clip_names)
    if len(counts) < 2:
        raise checks.UserError("dataset", expected="frames of at least 2 clips", received=list(counts))
    room, small = round(fraction * len(dataset)), set()
    for name in np.random.default_rng(seed).permutation(sorted(counts)):
        if counts[name] <= room:
            small.add(name)
            room -= counts[name]
    small = small or {min(sorted(counts), key=lambda name: counts[name])}
    chosen = np.array([name in small for name in dataset.clip_names])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _read(
    found: clips.FoundClip, *, longest_side: int | None, every: int, reach: int
) -> tuple[Clip | None, list[tuple[Path, str]]]:
    if not found.is_video:
        return clip_files.read_images(found)
    try:
        clip, problem = clip_files.read_video(found, longest_side=longest_side, every=every, reach=reach)
    except checks.UserError as reason:
        return None, [(found.files[0], str(reason))]
    return clip, [(found.files[0], problem)] if problem else []


def _notes(read: list[Clip], gray: list[Clip]) -> list[str]:
    notes = [f"{len(gray)} clips without color are left out, such as {gray[0].files[0].name}"] if gray else []
    parts: dict[str, set] = {}
    for clip in read:
        parts.setdefault(clip.name, set()).add(clip.part)
    shared = sorted(name for name, found in parts.items() if len(found) > 1)
    if shared:
        named = ", ".join(shared[:3])
        notes.append(f"clips are in several parts ({named}), so the test part is easier than a new video")
    return notes
