"""Encoded images of every kind that is decoded, and of kinds that are refused, as they lie in people's folders."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, rows: list[bytes], before: bytes = b"") -> bytes:
    """A PNG by hand: headers of any size, depths that Pillow does not write."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + before + body + png_chunk(b"IEND", b"")


def bmp(pixels: np.ndarray, *, head: int = 40, compression: int = 0, masks: bytes = b"", palette: bytes = b"") -> bytes:
    """(H, W, C) uint8 as it stands in the file, top row first; head: size of the header, 40 or 108."""
    height, width, channels = pixels.shape
    rows = b"".join(row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in pixels[::-1])
    sizes = struct.pack("<IiiHHIIiiII", head, width, height, 1, 8 * channels, compression, len(rows), 1, 1, 0, 0)
    rest = (sizes + masks).ljust(head, b"\0") if head > 40 else sizes + masks
    offset = 14 + len(rest) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + rest + palette + rows


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, *[0] * 6)


def gif_frame(gif: bytes, canvas: tuple[int, int], left: int, top: int) -> bytes:
    """A GIF of one picture, moved to another place on another canvas (width, height)."""
    table = 13 + 3 * (2 << (gif[10] & 7))
    at = gif.index(b"\x2c", table)
    body = gif[:6] + struct.pack("<HH", *canvas) + gif[10:at] + b"\x2c" + struct.pack("<HH", left, top)
    return body + gif[at + 5 :]


def without_adobe(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def decoded() -> dict[str, bytes]:
    """name -> bytes; odd sizes, noise and a coarse picture, so that wrong strides, filters and palettes show."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (37, 53, 4), dtype=np.uint8)
    rgb, rgba, gray = Image.fromarray(noise[..., :3]), Image.fromarray(noise), Image.fromarray(noise[..., 0])
    coarse = Image.fromarray(np.kron(noise[:9, :13, :3], np.ones((8, 8, 1), np.uint8)))
    veiled = Image.fromarray(np.kron(noise[:9, :13], np.ones((8, 8, 1), np.uint8)))
    wide = random.integers(0, 65536, (37, 53, 4)).astype(">u2")
    indexed, turned = rgb.quantize(64), coarse.resize((53, 37))
    cmyk = encode(rgb.convert("CMYK"), "JPEG")
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    return {
        "jpeg": encode(coarse, "JPEG"),
        "jpeg without subsampling": encode(rgb, "JPEG", subsampling=0, quality=95),
        "progressive jpeg": encode(coarse, "JPEG", progressive=True),
        "gray jpeg": encode(gray, "JPEG"),
        "cmyk jpeg": cmyk,
        "cmyk jpeg, not Adobe's": without_adobe(cmyk),
        "rgb jpeg": encode(rgb, "JPEG", keep_rgb=True),
        "jpeg with junk behind it": encode(coarse, "JPEG") + b"junk" * 50,
        "jpeg of one pixel": encode(rgb.crop((0, 0, 1, 1)), "JPEG"),
        "jpeg on its side": encode(coarse, "JPEG", exif=_exif(6)),
        "rgb png": encode(rgb, "PNG"),
        "gray png": encode(gray, "PNG"),
        "rgba png": encode(rgba, "PNG"),
        "gray and alpha png": encode(rgba.convert("LA"), "PNG"),
        "palette png": encode(rgb.quantize(200), "PNG"),
        "4-bit palette png": encode(rgb.quantize(9), "PNG"),
        "transparent palette png": encode(rgb.quantize(16), "PNG", transparency=3),
        "1-bit png": encode(gray.convert("1"), "PNG"),
        "2-bit png": png(53, 37, 2, 0, [row.tobytes() for row in noise[:, :14, 0]]),
        "16-bit gray png": png(53, 37, 16, 0, [row.tobytes() for row in wide[..., 0]]),
        "16-bit rgb png": png(53, 37, 16, 2, [row[:, :3].tobytes() for row in wide]),
        "16-bit rgba png": png(53, 37, 16, 6, [row.tobytes() for row in wide]),
        "16-bit gray and alpha png": png(53, 37, 16, 4, [row[:, :2].tobytes() for row in wide]),
        "png with a color key": encode(rgb, "PNG", transparency=tuple(int(v) for v in noise[0, 0, :3])),
        "png on its head": encode(coarse, "PNG", exif=_exif(3)),
        "gif": encode(indexed, "GIF"),
        "interlaced gif": encode(indexed, "GIF", interlace=True),
        "transparent gif": encode(indexed, "GIF", transparency=3),
        "gif of two colors": encode(gray.convert("1"), "GIF"),
        "gif smaller than its canvas": gif_frame(encode(indexed, "GIF"), (70, 60), 5, 11),
        "animated gif": encode(indexed, "GIF", save_all=True, append_images=[turned]),
        "animated transparent gif": encode(
            indexed, "GIF", save_all=True, append_images=[turned.quantize(8)], transparency=3, disposal=2
        ),
        "bmp": encode(rgb, "BMP"),
        "bmp with junk behind it": encode(rgb, "BMP") + b"\0\0",
        "bmp, top row first": encode(rgb, "BMP")[:22] + struct.pack("<i", -37) + encode(rgb, "BMP")[26:],
        "32-bit bmp": encode(rgba, "BMP"),
        "palette bmp": encode(indexed, "BMP"),
        "gray bmp": encode(gray, "BMP"),
        "bmp with masks": bmp(noise, compression=3, masks=masks),
        "bmp with alpha": bmp(noise, head=108, compression=3, masks=masks + b"\0\0\0\xff"),
        "bmp with a long header": bmp(noise, head=108, compression=3, masks=masks),
        "webp": encode(coarse, "WEBP"),
        "lossless webp": encode(rgb, "WEBP", lossless=True),
        "webp with alpha": encode(veiled, "WEBP"),
        "lossless webp with alpha": encode(rgba, "WEBP", lossless=True),
        "webp on its side": encode(coarse, "WEBP", exif=_exif(8)),
        "animated webp": encode(coarse, "WEBP", save_all=True, append_images=[coarse.rotate(180)]),
        "animated webp with alpha": encode(veiled, "WEBP", save_all=True, append_images=[veiled.rotate(180)]),
        "animated lossless webp": encode(rgba, "WEBP", save_all=True, append_images=[rgb], lossless=True),
    }


def refused() -> dict[str, bytes]:
    """name -> bytes that neither half decodes."""
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8))
    jpeg, whole, webp = encode(rgb, "JPEG"), encode(rgb, "PNG"), encode(rgb, "WEBP")
    indexed = rgb.quantize(64)
    gif = encode(indexed, "GIF")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    masks = struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)
    four = np.zeros((3, 5, 4), np.uint8)
    return {
        "empty": b"",
        "text": b"hello, I am a photograph",
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "zeros": bytes(5000),
        "tiff": encode(rgb, "TIFF"),
        "pdf": b"%PDF-1.7\n" + bytes(200),
        "jpeg xl": b"\xff\x0a" + bytes(100),
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "a tenth of a jpeg": jpeg[: len(jpeg) // 10],
        "jpeg header": jpeg[:20],
        "half a png": whole[: len(whole) // 2],
        "png without its last byte": whole[:-1],
        "png with a flipped bit": bytes(flipped),
        "png of 20 bytes": whole[:20],
        "png of 11,000 x 11,000": png(11_000, 11_000, 1, 0, [b"\0" * 1375] * 11_000),
        "png of 50,000 x 50,000": png(50_000, 50_000, 8, 2, [b""]),
        "jpeg of 65,000 x 65,000": jpeg.replace(b"\0\x11\x08\0\x25\0\x35", b"\0\x11\x08\xfd\xe8\xfd\xe8"),
        "gif of 65,535 x 65,535": b"GIF89a" + b"\xff" * 4 + gif[10:],
        "gif over the edge of its canvas": gif_frame(gif, (53, 37), 1, 0),
        "half a gif": gif[: len(gif) // 2],
        "gif header": gif[:13],
        "gif without a picture": gif[: 13 + 3 * 64] + b";",
        "bmp header": encode(rgb, "BMP")[:20],
        "half a bmp": encode(rgb, "BMP")[:3000],
        "1-bit bmp": encode(indexed.convert("1"), "BMP"),
        "bmp of 100,000 x 100,000": bmp_header(10**5, 10**5),
        "bmp of negative width": bmp_header(-5, 5),
        "bmp with other masks": bmp(four, compression=3, masks=masks),
        "run-length bmp": bmp(four[..., :1], compression=1, palette=bytes(1024)),
        "half a webp": webp[: len(webp) // 2],
        "webp header": webp[:16],
        "wave sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
        "webp of 16,384 x 16,384": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
    }
