"""The Pillow half: the same pixels without TensorFlow, to one level."""

import numpy as np
from PIL import Image, ImageChops

from kvision import checks
from kvision.pixels import orientation, png
from kvision.pixels.frame import on_canvas
from kvision.pixels.header import BadImage, first_line, lazy_open

__all__ = ["decode", "fit", "fit_labels", "fitted", "largest", "load", "resize"]


def decode(data: bytes) -> np.ndarray:
    """Encoded bytes -> (H, W, 3) uint8 RGB, as `graph.decode`. BadImage, with the reason, if they cannot be decoded."""
    image, frame = lazy_open(data)
    with image:
        try:
            if image.format == "PNG":
                png.check_chunks(data)
            if image.format == "GIF" and np.asarray(image).max(initial=0) >= 2 << (frame.still[10] & 7):
                raise ValueError("a color is not in its table")
            shown = on_canvas(_pixels(image), frame) if image.format in ("GIF", "WEBP") else _pixels(image)
        except Exception as reason:  # a decoder facing hostile bytes: whatever it raises is a bad image
            raise BadImage(f"the {image.format} data are damaged ({first_line(reason)})") from reason
    return orientation.turn(shown, orientation.read(frame.tiff))


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode == "I;16":  # Pillow's own conversion clips
        return np.repeat((np.asarray(image) >> 8).astype("uint8")[..., None], 3, axis=2)
    if image.mode == "CMYK" and "adobe" not in image.info:  # Adobe stores it inverted; Pillow takes all for Adobe's
        image = ImageChops.invert(image)
    # a color key, the transparency of a PNG of another kind, is passed over, as in the graph
    if image.mode in ("LA", "RGBA") or (image.mode == "P" and "transparency" in image.info):
        return _over_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha, colors = rgba[..., 3:].astype("int32"), rgba[..., :3].astype("int32")
    return ((colors * alpha + 255 * (255 - alpha) + 127) // 255).astype("uint8")


def resize(image: np.ndarray, image_size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (image_size, image_size, 3) uint8: antialiased bilinear, aspect not kept."""
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def fitted(size: tuple[int, int], longest_side: int | None) -> tuple[int, int]:
    """(height, width) -> the same, or what keeps the aspect with `longest_side` as the longer one."""
    if longest_side is None or max(size) <= longest_side:
        return size
    scale = longest_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fit(image: np.ndarray, longest_side: int | None) -> np.ndarray:
    """(H, W, 3) uint8 -> no side longer than `longest_side` (None: any), aspect kept: antialiased bilinear."""
    height, width = fitted(image.shape[:2], longest_side)
    if (height, width) == image.shape[:2]:
        return image
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def fit_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 -> (height, width) of `size`: the nearest pixel's."""
    if tuple(size) == labels.shape:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def largest(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """scores (h, w, K) float -> labels (H, W) uint8: of scores enlarged bilinearly to `size` the largest, the first of
    equal ones. Class by class: all of them at full size may not fit into memory. UserError for K above 255."""
    if scores.shape[2] > 255:
        raise checks.error("scores", expected="at most 255 classes: labels are of 8 bits", received=scores.shape)
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
    """Encoded bytes -> (image_size, image_size, 3) uint8; raises as `decode`."""
    return resize(decode(data), image_size)
