"""What an encoded image says of itself, read before anything is decoded."""

import io
import warnings
from dataclasses import dataclass

__all__ = ["MAX_BYTES", "MAX_PIXELS", "BadImage", "Header", "read_header"]

# TensorFlow decodes whatever size a header declares: 191 KB of PNG can ask for more than a gigabyte.
MAX_PIXELS = 100_000_000  # above the largest photographs of phones and cameras, 300 MB as RGB
MAX_BYTES = 256 * 1024 * 1024

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")  # what both halves decode


class BadImage(ValueError):
    """An encoded image that is not decoded; the text is the reason, fit for a list beside the file's name."""


@dataclass(frozen=True)
class Header:
    """format: one of JPEG, PNG, GIF, BMP, WEBP, by content; width, height in pixels, as stored."""

    format: str
    width: int
    height: int


def read_header(data: bytes) -> Header:
    """Reads format and size without decoding; BadImage if empty, of an unknown format, or over the caps."""
    from PIL import Image

    if not data:
        raise BadImage("the file is empty")
    if len(data) > MAX_BYTES:
        raise BadImage(f"{len(data):,} bytes are more than the {MAX_BYTES:,} allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, lower, pixel warning: the cap below decides
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                header = Header(str(image.format), *image.size)
    except Image.DecompressionBombError as reason:
        raise BadImage(f"more pixels than the {MAX_PIXELS:,} allowed") from reason
    except Exception as reason:  # a parser facing hostile bytes: whatever it raises is a bad image
        raise BadImage(f"not a JPEG, PNG, GIF, BMP or WebP image, or its header is damaged ({_line(reason)})") from reason
    if header.width * header.height > MAX_PIXELS:
        raise BadImage(f"{header.width} x {header.height} pixels are more than the {MAX_PIXELS:,} allowed")
    return header


def _line(reason: Exception) -> str:
    text = str(reason).split(" <_io")[0].strip()
    return text.splitlines()[0] if text else type(reason).__name__
