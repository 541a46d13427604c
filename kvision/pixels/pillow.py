"""The Pillow half: the same pixels without TensorFlow, to one level."""

import struct
import zlib

import numpy as np
from PIL import Image

from kvision.pixels import orientation
from kvision.pixels.header import BadImage, first_line, lazy_open

__all__ = ["decode", "load", "resize"]


def decode(data: bytes) -> np.ndarray:
    """Encoded bytes -> (H, W, 3) uint8 RGB, as `graph.decode`. BadImage, with the reason, if they cannot be decoded."""
    with lazy_open(data) as image:
        png = image.format == "PNG"
        if png:
            _check_chunks(data)
        try:
            if image.mode == "I;16":  # Pillow's own conversion clips
                return np.repeat((np.asarray(image) >> 8).astype("uint8")[..., None], 3, axis=2)
            palette = image.mode == "P" and "transparency" in image.info
            if png and (palette or image.mode in ("LA", "RGBA")):
                return _over_white(np.asarray(image.convert("RGBA")))
            if palette:  # a GIF, whose transparent pixels TensorFlow makes black
                rgba = np.asarray(image.convert("RGBA"))
                return rgba[..., :3] * (rgba[..., 3:] > 0)
            pixels = np.asarray(image.convert("RGB"))
            return orientation.turn(pixels, orientation.in_bytes(data)) if image.format == "JPEG" else pixels
        except Exception as reason:  # a decoder facing hostile bytes: whatever it raises is a bad image
            raise BadImage(f"the {image.format} data are damaged ({first_line(reason)})") from reason


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha, colors = rgba[..., 3:].astype("int32"), rgba[..., :3].astype("int32")
    return ((colors * alpha + 255 * (255 - alpha) + 127) // 255).astype("uint8")


def _check_chunks(data: bytes) -> None:
    """Checksums to the last chunk, as TensorFlow's reader wants them; Pillow is content with all rows of pixels."""
    position, kind = 8, b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise BadImage("the PNG data are truncated")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(memoryview(data)[position + 4 : end])):
            raise BadImage("the PNG data are damaged (a checksum is wrong)")
        position = end + 4


def resize(image: np.ndarray, image_size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (image_size, image_size, 3) uint8: antialiased bilinear, aspect not kept."""
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def load(data: bytes, image_size: int) -> np.ndarray:
    """Encoded bytes -> (image_size, image_size, 3) uint8; raises as `decode`."""
    return resize(decode(data), image_size)
