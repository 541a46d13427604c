"""Colors one picture."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from kvision import checks, sepia
from kvision.colorization.hints import hint_map
from kvision.layers import Recolor
from kvision.pixels import pillow
from kvision.pixels.rejoined import rejoined
from kvision.raw_pixels import RawPixels

__all__ = ["colorize"]


def colorize(
    model: keras.Model,
    image: np.ndarray,
    *,
    hints: Iterable[Sequence[float]] | np.ndarray | None = None,
    neighbors: np.ndarray | None = None,
    longest_side: int | None = None,
) -> np.ndarray:
    """Colors a gray, sepia or color picture. The luma of the picture is kept.

    Args:
        model: A model of `kv.colorization.colorizer`.
        image: `(height, width, 3)` uint8.
        hints: For a model with the input `hints`: rows of y, x, R, G and B, or the result of
            `kv.colorization.hint_map`. None gives no hints.
        neighbors: For a model with the input `neighbors`: the luma of the neighboring frames `(height, width, n)`,
            oldest first. None gives the luma of the picture itself in place of each neighbor.
        longest_side: The largest length of a side for the network, in pixels. The network sees a larger picture made
            smaller, and its colors are enlarged. If None, the network sees the picture unchanged.

    Returns:
        The colored picture `(height, width, 3)` uint8, in the size of `image`.

    Raises:
        UserError: If a shape is wrong, if the pixels are scaled, or if there are hints or neighbors and the model does
            not take them.

    Example:
        >>> backbone = kv.backbones.create("ResNet20", image_size=32)
        >>> model = kv.colorization.colorizer(kv.colorization.network(backbone, widths=(16, 8)))
        >>> kv.colorization.colorize(model, np.full((37, 51, 3), 90, "uint8")).shape
        (37, 51, 3)
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise checks.UserError("image", expected="the shape (height, width, 3)", received=image.shape)
    RawPixels("image")(image[None])
    takes = {tensor.name: tensor.shape[-1] for tensor in model.inputs}
    for name, value in {"hints": hints, "neighbors": neighbors}.items():
        if value is not None and name not in takes:
            expected = f"None, because the model has no input `{name}`"
            raise checks.UserError(name, expected=expected, received=value, hint=f"Train it with {name}")
    standard = next((layer.standard for layer in model.layers if isinstance(layer, Recolor)), "bt601")
    small = pillow.fit(image, longest_side)
    given: dict[str, np.ndarray] = {"image": small[None].astype("float32")}
    if "hints" in takes:
        given["hints"] = _drawn(hints, image.shape[:2], small.shape[:2], standard)[None]
    if "neighbors" in takes:
        given["neighbors"] = _beside(neighbors, image, small, takes["neighbors"], standard)[None]
    found = model.predict_on_batch(given if len(takes) > 1 else given["image"])
    return rejoined(keras.ops.convert_to_numpy(found)[0], image, standard)


def _beside(neighbors, image: np.ndarray, small: np.ndarray, count: int, standard: str) -> np.ndarray:
    """Returns the input `neighbors` in the size that the network sees."""
    if neighbors is None:
        return sepia.gray(small[None].astype("float32"), standard)[0].repeat(count, axis=2)
    if np.shape(neighbors) != (*image.shape[:2], count):
        expected = f"luma {(*image.shape[:2], count)}"
        raise checks.UserError("neighbors", expected=expected, received=np.shape(neighbors))
    return pillow.resize_planes(np.asarray(neighbors)[None], small.shape[:2])[0]


def _drawn(hints, size: tuple[int, int], small: tuple[int, int], standard: str) -> np.ndarray:
    """Returns the input `hints` in the size that the network sees."""
    if hints is None:
        return np.zeros((*small, 3), "float32")
    if not isinstance(hints, np.ndarray) or hints.ndim == 2:
        rows = [np.asarray(row, "float64") for row in hints]
        hint_map(rows, size)  # raises errors in pixels of the picture
        scale = np.array([small[0] / size[0], small[1] / size[1], 1, 1, 1])
        return hint_map([row * scale for row in rows], small, standard=standard)
    if hints.shape == (*small, 3):
        return hints.astype("float32")
    raise checks.UserError("hints", expected=f"rows (y, x, R, G, B), or {(*small, 3)}", received=hints.shape)
