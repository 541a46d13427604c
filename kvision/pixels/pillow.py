"""The Pillow half: the same pixels without TensorFlow, to one level."""

import io

import numpy as np
from PIL import Image

from kvision.pixels.header import BadImage, read_header

__all__ = ["decode", "load", "resize"]


def decode(data: bytes) -> np.ndarray:
    """Encoded bytes -> (H, W, 3) uint8 RGB; alpha over white. BadImage, with the reason, if they cannot be decoded."""
    read_header(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                rgba = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            return np.asarray(image.convert("RGB"))
    except Exception as reason:  # a decoder facing hostile bytes: whatever it raises is a bad image
        raise BadImage(f"it cannot be decoded: {reason}") from reason


def resize(image: np.ndarray, image_size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (image_size, image_size, 3) uint8: antialiased bilinear, aspect not kept."""
    resized = Image.fromarray(image).resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def load(data: bytes, image_size: int) -> np.ndarray:
    """Encoded bytes -> (image_size, image_size, 3) uint8."""
    return resize(decode(data), image_size)
