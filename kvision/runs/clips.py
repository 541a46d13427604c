"""Code of the coloring recipe for videos: frames with their neighbors, and the flicker of colored frames."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision import checks
from kvision.luma_chroma import luma
from kvision.runs.parts import TEST_FRACTION, fingerprint, large_enough, without_copies
from kvision.runs.result import Split

if TYPE_CHECKING:
    from kvision.data import Frames

__all__ = ["flicker", "load", "neighbors_of"]


def load(config: Any, *, weights: str | None, smallest: int) -> Split:
    """Reads the frames (`kv.data.Frames`) of a run, and splits them into parts.

    If the folder has no parts, whole clips become the test part. If it has a single clip, its last frames do.

    Args:
        config: The recipe's settings, already checked, with `frames` and `temporal_weight`.
        weights: The recipe's setting `weights`. If it is a file, the file's content is part of the fingerprint.
        smallest: Smallest side in pixels that the network accepts. Frames with a smaller side are bad images.

    Returns:
        The data of the run. `class_names` is empty. Test frames have no pairs.

    Raises:
        UserError: If there are too few frames in color.
    """
    from kvision import data

    pairs, sides = config.temporal_weight > 0, {"longest_side": config.longest_side}
    found = data.from_clips(config.data, neighbors=config.frames - 1, pairs=pairs, argument="data", **sides)
    found = large_enough(found, smallest)
    train, validation, test, notes = _parted(found, config.seed)
    train = train if config.train_images is None else train.some(config.train_images, seed=config.seed)
    if config.test_images is not None:  # the first ones, since flicker is measured between frames beside each other
        test = test.subset(range(min(config.test_images, len(test))))
    test = dataclasses.replace(test, pairs=False)
    unused = [] if validation is None else [f"{len(validation)} validation frames are not used"]
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=(),
        bad_images=list(found.bad),
        name=f"{Path(config.data).resolve().name}: {len(train)} training, {len(test)} test frames",
        fingerprint=fingerprint(train, test, weights),
        notes=(*found.notes, *notes, *unused),
    )


def _parted(found: "Frames", seed: int) -> tuple[Any, Any, Any, list[str]]:
    from kvision import data

    if found.part is not None:
        missing = {"train", "test"} - set(found.part)
        if missing:
            problem = f"has no usable frame in the part {min(missing)}"
            received = sorted(set(found.part))
            raise checks.UserError("data", problem=problem, expected="frames in both parts", received=received)
        return without_copies({name: found.subset(np.flatnonzero(found.part == name)) for name in set(found.part)})
    if len(set(found.clip_names)) > 1:
        rest, chosen = data.clip_split(found, fraction=TEST_FRACTION, seed=seed)
        return found.subset(rest), None, found.subset(chosen), []
    count = round(TEST_FRACTION * len(found))
    if not count:
        raise checks.UserError("data", problem="has too few frames", expected="5 or more", received=len(found))
    note = "there is one clip, so its last fifth is the test part, which is easier than a new video"
    return found.subset(range(len(found) - count)), None, found.subset(range(len(found) - count, len(found))), [note]


def neighbors_of(frames: "Frames", number: int) -> np.ndarray:
    """Returns the luma of the neighbors of a frame `(height, width, n)` float32, oldest first."""
    others = frames.example(number)[1][: frames.neighbors]
    return np.moveaxis(luma(others.astype("float32"))[..., 0], 0, 2)


def flicker(predict: Callable[[int, np.ndarray], np.ndarray], test: "Frames") -> dict[str, float]:
    """Measures how much the colors of a network change along the motion, see `kv.colorization.warp_error`.

    Args:
        predict: A function of the number of a frame and the frame `(height, width, 3)` uint8. It returns the colored
            frame.
        test: The test frames. Only frames that follow each other in a clip are compared.

    Returns:
        `warp_error` and its part `warp_error_chroma`, each with squared differences of values in [0, 1], and the number
        of `pairs`.
    """
    from kvision.colorization import warp_error

    rows = []
    for numbers in _runs(test):
        frames = [test.example(i)[0] for i in numbers]
        colored = (np.clip(np.round(predict(i, image)), 0, 255) for i, image in zip(numbers, frames, strict=True))
        rows.append(warp_error((image.astype("uint8") for image in colored), frames))
    pairs = sum(row.pairs for row in rows)
    if not pairs:
        return {}
    # A run of one frame has no pair, and NaN as its error.
    sums = [sum(getattr(row, name) * row.pairs for row in rows if row.pairs) for name in ("rgb", "chroma")]
    return {"warp_error": sums[0] / pairs, "warp_error_chroma": sums[1] / pairs, "pairs": pairs}


def _runs(frames: "Frames") -> Iterator[list[int]]:
    """Yields the numbers of frames that follow each other in a clip."""
    run: list[int] = []
    for number, (clip, place) in enumerate(frames.rows):
        if run and (clip, place) != (frames.rows[run[-1]][0], frames.rows[run[-1]][1] + 1):
            yield run
            run = []
        run.append(number)
    if run:
        yield run
