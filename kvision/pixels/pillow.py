"""Decodes and resizes images with Pillow, without TensorFlow. Pixels differ from `graph` by at most one level."""

import numpy as np
from PIL import Image, ImageChops, ImageFile

from kvision import checks
from kvision.pixels import orientation
from kvision.pixels.header import BadImage, first_line, lazy_open

__all__ = ["decode", "exif", "fit", "fit_labels", "fitted", "largest", "load", "resize", "resize_planes"]


def decode(data: bytes) -> np.ndarray:
    """Decodes an image like `graph.decode`, without TensorFlow.

    Args:
        data: The bytes of an image file.

    Returns:
        The image `(height, width, 3)` uint8 in RGB, as it is shown.

    Raises:
        BadImage: If the image cannot be decoded. The text of the error is the reason.
    """
    with lazy_open(data) as image:
        turn = orientation.read(exif(image))
        try:
            if image.format == "PNG":
                _check_png(data)
            shown = _first_frame(image) if image.format == "GIF" else _pixels(image)
        except Exception as reason:  # a decoder may raise any exception on damaged bytes
            raise BadImage(f"the {image.format} data are damaged ({first_line(reason)})") from reason
    return orientation.turn(shown, turn)


def exif(image: Image.Image) -> bytes:
    """Returns the EXIF data (maybe empty) of an image that `lazy_open` opened and that is not loaded yet."""
    return image.info.get("exif", b"").removeprefix(b"Exif\0\0")


def _check_png(data: bytes) -> None:
    """Raises unless all checksums are right. Loading does not check the pixels, and stops after the last row."""
    with lazy_open(data) as image:
        image.verify()
    if b"\0\0\0\0IEND\xae\x42\x60\x82" not in data:  # the last chunk; Pillow does not verify it
        raise ValueError("truncated")


def _first_frame(image: ImageFile.ImageFile) -> np.ndarray:
    """Returns the first frame of a GIF on a white canvas. Pillow would fill the rest with a different color."""
    left, top, right, bottom = image.tile[0].extents or (0, 0, *image.size)
    colors = image.palette and len(image.palette.palette) // 3
    if colors and np.asarray(image).max() >= colors:
        raise ValueError("a color is not in its table")
    shown = np.full((image.height, image.width, 3), 255, np.uint8)
    shown[top:bottom, left:right] = _pixels(image)[top:bottom, left:right]
    return shown


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode == "I;16":  # Pillow's own conversion would clip the values
        return np.repeat((np.asarray(image) >> 8).astype("uint8")[..., None], 3, axis=2)
    if image.mode == "CMYK" and "adobe" not in image.info:  # Pillow inverts every file, as for files of Adobe
        image = ImageChops.invert(image)
    # The transparency of a PNG without a palette is a color key. The graph does not apply it either.
    has_transparent_color = "transparency" in image.info and (image.mode == "P" or image.format == "GIF")
    if image.mode in ("LA", "RGBA") or has_transparent_color:
        return _over_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha, colors = rgba[..., 3:].astype("int32"), rgba[..., :3].astype("int32")
    return ((colors * alpha + 255 * (255 - alpha) + 127) // 255).astype("uint8")


def resize(image: np.ndarray, image_size: int) -> np.ndarray:
    """Resizes an image to a square, bilinearly and antialiased. The aspect ratio is not kept.

    Args:
        image: An image `(height, width, 3)` uint8.
        image_size: Height and width of the result in pixels.

    Returns:
        The resized image, uint8.
    """
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def resize_planes(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes planes of floats bilinearly, and antialiased if they become smaller.

    Args:
        planes: `(batch, height, width, channels)` floats in any range.
        size: Height and width of the result in pixels.

    Returns:
        `(batch, *size, channels)` float32.
    """
    found = np.empty((len(planes), *size, planes.shape[3]), "float32")
    for row, channel in np.ndindex(len(planes), planes.shape[3]):
        plane = Image.fromarray(np.ascontiguousarray(planes[row, ..., channel], "float32"))
        found[row, ..., channel] = np.asarray(plane.resize(size[::-1], Image.Resampling.BILINEAR))
    return found


def fitted(size: tuple[int, int], longest_side: int | None) -> tuple[int, int]:
    """Returns the (height, width) to which `fit` resizes an image of this size."""
    if longest_side is None or max(size) <= longest_side:
        return size
    scale = longest_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fit(image: np.ndarray, longest_side: int | None) -> np.ndarray:
    """Makes an image smaller if a side is longer than `longest_side`.

    Args:
        image: An image `(height, width, 3)` uint8.
        longest_side: The limit in pixels. The aspect ratio is kept. If None, the image is returned unchanged.

    Returns:
        The image, resized bilinearly and antialiased.
    """
    height, width = fitted(image.shape[:2], longest_side)
    if (height, width) == image.shape[:2]:
        return image
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def fit_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes labels (H, W) uint8 to `size` (height, width). Each pixel gets the label of the nearest pixel."""
    if tuple(size) == labels.shape:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def largest(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the label with the largest score at each pixel, after resizing the scores.

    The function handles one class after the other, because the scores of all classes at full size may not fit into
    memory.

    Args:
        scores: Scores `(h, w, classes)`, of any float type.
        size: (height, width) of the result. The scores are resized bilinearly to this size.

    Returns:
        Labels `(height, width)` uint8. If scores are equal, the first label is taken.

    Raises:
        UserError: If there are more than 255 classes.
    """
    if scores.shape[2] > 255:
        raise checks.UserError("scores", expected="at most 255 classes (8-bit labels)", received=scores.shape)
    if tuple(size) == scores.shape[:2]:
        return scores.argmax(axis=2).astype("uint8")
    best, labels = np.full(size, -np.inf, "float32"), np.zeros(size, "uint8")
    for label in range(scores.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(scores[..., label], "float32"))
        whole = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR))
        labels[whole > best] = label
        np.maximum(best, whole, out=best)
    return labels


def load(data: bytes, image_size: int) -> np.ndarray:
    """Decodes and resizes an image: `resize(decode(data), image_size)`."""
    return resize(decode(data), image_size)
