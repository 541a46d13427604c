"""What an encoded image says of itself, read before anything is decoded."""

import io
from dataclasses import dataclass

from PIL import BmpImagePlugin, GifImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from kvision.pixels import bmp, gif, jpeg, png, webp
from kvision.pixels.frame import Frame

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
_FIRST_FRAME = {GifImagePlugin.GifImageFile: gif.first_frame, WebPImagePlugin.WebPImageFile: webp.first_frame}
_EXIF = {JpegImagePlugin.JpegImageFile: jpeg.exif, PngImagePlugin.PngImageFile: png.exif}


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
    image, frame = lazy_open(data)
    with image:
        return Header(str(image.format), frame.canvas[1], frame.canvas[0])


def lazy_open(data: bytes) -> tuple[ImageFile.ImageFile, Frame]:
    """Pillow's image of the first picture, of which nothing but the header is read yet, and where the picture belongs.

    Raises what `read_header` raises.
    """
    if not data:
        raise BadImage("the file is empty")
    if len(data) > MAX_BYTES:
        raise BadImage(f"more bytes than the {MAX_BYTES:,} allowed")
    opener = next((opener for magic, opener in _FORMATS.items() if data.startswith(magic)), None)
    if opener is None or (opener is WebPImagePlugin.WebPImageFile and data[8:12] != b"WEBP"):
        raise BadImage("not a JPEG, PNG, GIF, BMP or WebP image")
    if opener is BmpImagePlugin.BmpImageFile and not bmp.is_decoded(data):
        raise BadImage("a BMP of another kind than 24 or 32 bits a pixel, or 8 with a palette, not compressed")
    try:
        if opener in _FIRST_FRAME:
            frame = _FIRST_FRAME[opener](data)
            _check_size(*frame.canvas)
            _check_size(*frame.box[2:])
            image = opener(io.BytesIO(frame.still))
        else:
            image = opener(io.BytesIO(data))
            width, height = image.size
            _check_size(height, width)
            tiff = _EXIF[opener](data) if opener in _EXIF else b""
            frame = Frame(data, alpha=False, canvas=(height, width), box=(0, 0, height, width), tiff=tiff)
        if not frame.fits or image.size != (frame.box[3], frame.box[2]):
            raise ValueError("its parts do not fit together")
    except BadImage:
        raise
    except IndexError as reason:
        raise BadImage("its header is damaged (it is truncated)") from reason
    except Exception as reason:  # a parser facing hostile bytes: whatever it raises is a bad image
        raise BadImage(f"its header is damaged ({first_line(reason)})") from reason
    return image, frame


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise BadImage(f"{width} x {height} pixels are more than the {MAX_PIXELS:,} allowed")


def first_line(reason: Exception) -> str:
    """An exception's text without objects' addresses; its type's name if it has none."""
    text = str(reason).split(" <_io")[0].strip()
    return text.splitlines()[0] if text else type(reason).__name__
