"""Reads the header of an encoded image with Pillow, before any pixel is decoded."""

import io
import struct
from dataclasses import dataclass

from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from kvision.pixels import bmp

__all__ = ["MAX_BYTES", "MAX_PIXELS", "BadImage", "Header", "first_line", "lazy_open", "read_header"]

# TensorFlow decodes any size that a header declares. A PNG of 191 KB can take more than a gigabyte of memory.
MAX_PIXELS = 100_000_000  # 300 MB as RGB per decoding thread; images of 60 megapixel cameras are much smaller
MAX_BYTES = 4 * MAX_PIXELS  # the size of the largest uncompressed bitmap with MAX_PIXELS

# The formats that both TensorFlow and Pillow decode, by content. `Image.open` would warn at its own, lower limit.
_FORMATS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"GIF8": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
}
# Byte orders that Pillow finds in bitmaps without compression (0) and in bitmaps with color masks (3).
_BITMAPS = {0: ("BGR", "BGRX", "P", "L"), 3: ("BGRX", "BGRA")}


class BadImage(ValueError):
    """An encoded image that cannot be decoded. The text is a one-line reason for the report."""


@dataclass(frozen=True)
class Header:
    """Format and size of an encoded image.

    Attributes:
        format: JPEG, PNG, GIF, BMP or WEBP, found from the content of the file.
        width: Width in pixels as stored, before the EXIF orientation is applied.
        height: Height in pixels as stored.
    """

    format: str
    width: int
    height: int


def read_header(data: bytes) -> Header:
    """Reads format and size of an encoded image without decoding it.

    Args:
        data: The bytes of an image file.

    Returns:
        The header.

    Raises:
        BadImage: If the bytes are empty or damaged, if kvision does not decode their format, or if the image is larger
            than `MAX_BYTES` or `MAX_PIXELS`.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (640, 480)).save(file, "PNG")
        >>> kv.pixels.read_header(file.getvalue())
        Header(format='PNG', width=640, height=480)
    """
    with lazy_open(data) as image:
        return Header(str(image.format), *image.size)


def lazy_open(data: bytes) -> ImageFile.ImageFile:
    """Opens an encoded image in Pillow. Only the header is read, not the pixels.

    Args:
        data: The bytes of an image file.

    Returns:
        Pillow's image. The caller must close it. For an animation, the image is the first frame.

    Raises:
        BadImage: See `read_header`.
    """
    if not data:
        raise BadImage("the file is empty")
    if len(data) > MAX_BYTES:
        raise BadImage(f"more bytes than the {MAX_BYTES:,} allowed")
    opener = next((opener for magic, opener in _FORMATS.items() if data.startswith(magic)), None)
    if opener is None or (opener is WebPImagePlugin.WebPImageFile and data[8:12] != b"WEBP"):
        raise BadImage("not a JPEG, PNG, GIF, BMP or WebP image")
    if opener is WebPImagePlugin.WebPImageFile and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise BadImage("its header is damaged (it is truncated)")
    try:
        image = opener(io.BytesIO(data))
        if image.format == "GIF":
            _check_gif(image, data)
    except IndexError as reason:
        raise BadImage("its header is damaged (it is truncated)") from reason
    except Image.DecompressionBombError as reason:  # some formats need memory before the size can be checked
        raise BadImage(f"more pixels than the {MAX_PIXELS:,} allowed") from reason
    except Exception as reason:  # Pillow's parsers may raise any exception on damaged bytes
        raise BadImage(f"its header is damaged ({first_line(reason)})") from reason
    width, height = image.size
    if height * width > MAX_PIXELS:
        raise BadImage(f"{width} x {height} pixels are more than the {MAX_PIXELS:,} allowed")
    if image.format == "BMP" and not _is_plain_bitmap(image, data):
        raise BadImage("a BMP of another kind than 24 or 32 bits a pixel, or 8 with a palette, not compressed")
    return image


def _check_gif(image: ImageFile.ImageFile, data: bytes) -> None:
    """Raises if the first frame is cut off, or if it leaves the canvas (Pillow would make the canvas larger)."""
    if image.size != struct.unpack_from("<HH", data, 6):
        raise ValueError("its parts do not fit together")
    position = image.tile[0].offset
    while data[position]:
        position += data[position] + 1


def _is_plain_bitmap(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Returns whether TensorFlow also decodes a bitmap; see `bmp`."""
    tile, offset = image.tile[0], int.from_bytes(data[10:14], "little")
    plain = tile.args[0] in _BITMAPS.get(image.info["compression"], ())
    return plain and data[14] in bmp.HEADS and 14 + data[14] <= offset == tile.offset  # Pillow corrects some offsets


def first_line(reason: Exception) -> str:
    """Returns the text of an exception without object addresses, or the name of its type if there is no text."""
    text = str(reason).split(" <_io")[0].strip()
    return text.splitlines()[0] if text else type(reason).__name__
