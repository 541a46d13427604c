"""What an encoded image says of itself, read before anything is decoded."""

import io
from dataclasses import dataclass

from PIL import BmpImagePlugin, GifImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

__all__ = ["MAX_BYTES", "MAX_PIXELS", "BadImage", "Header", "first_line", "lazy_open", "read_header"]

# TensorFlow decodes whatever size a header declares: 191 KB of PNG can ask for more than a gigabyte.
MAX_PIXELS = 100_000_000  # 300 MB as RGB, in each decoding thread; 60 megapixel cameras are well below
MAX_BYTES = 4 * MAX_PIXELS  # the largest uncompressed bitmap that MAX_PIXELS lets through

# What both halves decode, by content. Not `Image.open`: that warns at a lower cap of its own, in every thread.
_FORMATS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"GIF8": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
}


class BadImage(ValueError):
    """An encoded image that is not decoded; the text is the reason, fit for a list beside the file's name."""


@dataclass(frozen=True)
class Header:
    """format: one of JPEG, PNG, GIF, BMP, WEBP, by content; width, height in pixels, as stored."""

    format: str
    width: int
    height: int


def read_header(data: bytes) -> Header:
    """Reads format and size without decoding; BadImage if empty, of a kind that is not decoded, or over the caps."""
    with lazy_open(data) as image:
        return Header(str(image.format), *image.size)


def lazy_open(data: bytes) -> ImageFile.ImageFile:
    """Pillow's image of which nothing but the header is read yet; raises what `read_header` raises."""
    if not data:
        raise BadImage("the file is empty")
    if len(data) > MAX_BYTES:
        raise BadImage(f"more bytes than the {MAX_BYTES:,} allowed")
    opener = next((opener for magic, opener in _FORMATS.items() if data.startswith(magic)), None)
    if opener is None:
        raise BadImage("not a JPEG, PNG, GIF, BMP or WebP image")
    try:
        image = opener(io.BytesIO(data))
    except Exception as reason:  # a parser facing hostile bytes: whatever it raises is a bad image
        raise BadImage(f"its header is damaged ({first_line(reason)})") from reason
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"{image.width} x {image.height} pixels are more than the {MAX_PIXELS:,} allowed")
    # TensorFlow refuses these, or reads palette indices as gray levels
    if image.format == "BMP" and data[28] not in (24, 32):
        raise BadImage("a BMP of another kind than 24 or 32 bits a pixel")
    if image.format == "WEBP" and (image.mode != "RGB" or getattr(image, "is_animated", False)):
        raise BadImage("a WebP with transparency or animation")
    return image


def first_line(reason: Exception) -> str:
    """An exception's text without objects' addresses; its type's name if it has none."""
    text = str(reason).split(" <_io")[0].strip()
    return text.splitlines()[0] if text else type(reason).__name__
