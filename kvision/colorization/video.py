"""Colors the frames of a video: windows of neighboring frames that end at cuts, and batches."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from kvision import checks
from kvision.luma_chroma import luma
from kvision.pixels import pillow
from kvision.pixels.scene_cuts import SceneCuts

__all__ = ["Window", "at_size", "colorized", "windows"]

Predict = Callable[..., np.ndarray]


class Window(NamedTuple):
    """A frame with the luma of its neighbors.

    Attributes:
        image: The frame `(height, width, 3)` uint8.
        neighbors: `(height, width, n)` float32 in [0, 255]: the luma of the n / 2 frames before, oldest first, then of
            the n / 2 frames after.
    """

    image: np.ndarray
    neighbors: np.ndarray


def windows(
    frames: Iterable[np.ndarray],
    *,
    neighbors: int,
    cuts: Callable[[np.ndarray], bool] | None = None,
    standard: str = "bt601",
) -> Iterator[Window]:
    """Adds neighboring frames to each frame of a video. At most `neighbors` / 2 frames are read ahead.

    A window never reaches over a cut, or over the ends of the video. Neighbors that are missing are replaced by the
    nearest frame of the same scene.

    Args:
        frames: RGB images `(height, width, 3)` uint8 of one size, in their order.
        neighbors: Number of neighbors n, an even number. Half of them are before the frame, half of them after it.
        cuts: A function of the luma of each frame in turn, which returns whether a new scene begins. Defaults to
            `kvision.pixels.scene_cuts.SceneCuts`.
        standard: The standard of the luma: `"bt601"`, `"bt709"` or `"bt2020"`.

    Yields:
        A window for each frame.

    Raises:
        UserError: If `neighbors` is negative or odd.

    Example:
        >>> frames = [np.full((2, 2, 3), level, "uint8") for level in (10, 20, 30)]
        >>> [w.neighbors[0, 0].round().tolist() for w in kv.colorization.windows(frames, neighbors=2, cuts=lambda _: 0)]
        [[10.0, 20.0], [10.0, 30.0], [20.0, 30.0]]
    """
    if neighbors < 0 or neighbors % 2:
        raise checks.UserError("neighbors", expected="an even number, at least 0", received=neighbors)
    half, cuts = neighbors // 2, cuts if cuts is not None else SceneCuts()
    scene, shown = 0, deque()  # frames that are in the window of a frame that is not yielded yet
    position = 0  # of the next frame to yield in `shown`
    for frame in itertools.chain(frames, [None] * half):
        if frame is None:
            shown.append(None)
        else:
            gray = luma(frame, standard)[..., 0]
            scene += bool(cuts(gray))
            shown.append((frame, gray, scene))
        if len(shown) > position + half:
            if shown[position] is None:
                return
            yield _window(shown, position, half)
            if position < half:
                position += 1
            else:
                shown.popleft()


def _window(shown: deque, position: int, half: int) -> Window:
    """Returns the window of the frame at `position` of (frame, luma, scene)."""
    frame, gray, scene = shown[position]
    before, after = [gray], [gray]
    for side, step in ((before, -1), (after, 1)):
        for distance in range(1, half + 1):
            place = position + step * distance
            other = shown[place] if 0 <= place < len(shown) else None
            side.append(other[1] if other is not None and other[2] == scene else side[-1])
    planes = [*before[:0:-1], *after[1:]]
    empty = np.zeros((*gray.shape, 0), "float32")
    return Window(frame, np.stack(planes, axis=2) if planes else empty)


def colorized(
    frames: Iterable[np.ndarray],
    predict: Predict,
    *,
    neighbors: int = 0,
    batch_size: int = 1,
    cuts: Callable[[np.ndarray], bool] | None = None,
    standard: str = "bt601",
) -> Iterator[np.ndarray]:
    """Colors a video frame by frame. Memory does not grow with the length of the video.

    Args:
        frames: RGB or gray images `(height, width, 3)` uint8 of one size, in their order.
        predict: A function of images `(batch, height, width, 3)` float32 in [0, 255] that returns the colored images,
            with the same shape and range. If `neighbors` is not 0, it takes a second argument, the luma of the
            neighbors `(batch, height, width, neighbors)`; see `windows`.
        neighbors: Number of neighbors, an even number.
        batch_size: Number of frames for each call of `predict`.
        cuts: See `windows`.
        standard: The standard of the luma: `"bt601"`, `"bt709"` or `"bt2020"`.

    Yields:
        The colored frame `(height, width, 3)` uint8, for each frame.

    Raises:
        UserError: If an argument is not valid, or `predict` returns a different shape.

    Example:
        >>> frames = [np.full((2, 2, 3), level, "uint8") for level in (10, 20)]
        >>> warm = lambda images: images + [20, 0, -5]
        >>> [image[0, 0].tolist() for image in kv.colorization.colorized(frames, warm)]
        [[30, 10, 5], [40, 20, 15]]
    """
    checks.positive({"batch_size": batch_size})
    found = windows(frames, neighbors=neighbors, cuts=cuts if neighbors else lambda _: False, standard=standard)
    while batch := list(itertools.islice(found, batch_size)):
        inputs = [np.stack([window.image for window in batch]).astype("float32")]
        if neighbors:
            inputs.append(np.stack([window.neighbors for window in batch]))
        colored = np.asarray(predict(*inputs))
        if colored.shape != inputs[0].shape:
            raise checks.UserError("predict", expected=f"images {inputs[0].shape}", received=colored.shape)
        yield from np.clip(np.rint(colored), 0, 255).astype("uint8")


def at_size(predict: Predict, longest_side: int | None, *, standard: str = "bt601") -> Predict:
    """Lets a model color smaller images, and keeps the luma of the large ones.

    The colors of the small image are enlarged bilinearly and added to the luma of the large image. Most eyes do not
    see that colors have fewer pixels than the luma.

    Args:
        predict: See `colorized`.
        longest_side: Longest side in pixels of the images that `predict` gets. If None, `predict` is returned.
        standard: The standard of the luma: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        A function with the arguments and the result of `predict`.

    Raises:
        UserError: If `longest_side` is not positive.
    """
    checks.positive({"longest_side": longest_side})
    if longest_side is None:
        return predict

    def small(images: np.ndarray, *beside: np.ndarray) -> np.ndarray:
        size, large = pillow.fitted(images.shape[1:3], longest_side), images.shape[1:3]
        if size == large:
            return predict(images, *beside)
        colored = predict(*(pillow.resize_planes(planes, size) for planes in (images, *beside)))
        # RGB is luma plus a difference whose own luma is 0, so the luma of the sum is that of the large image.
        difference = colored - luma(colored, standard)
        return luma(images, standard) + pillow.resize_planes(difference, large)

    return small
