"""Encoded images of every kind that is decoded, and of kinds that are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image


def _encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _png(width: int, height: int, depth: int, color: int, rows: list[bytes]) -> bytes:
    """A PNG by hand: headers of any size, depths that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def encode():
    return _encode


@pytest.fixture(scope="session")
def encoded() -> dict[str, bytes]:
    """name -> bytes; odd sizes, noise and a coarse picture, so that wrong strides, filters and palettes show."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (37, 53, 4), dtype=np.uint8)
    rgb, rgba, gray = Image.fromarray(noise[..., :3]), Image.fromarray(noise), Image.fromarray(noise[..., 0])
    coarse = Image.fromarray(np.kron(noise[:9, :13, :3], np.ones((8, 8, 1), np.uint8)))
    wide = random.integers(0, 65536, (37, 53, 4)).astype(">u2")
    return {
        "jpeg": _encode(coarse, "JPEG"),
        "jpeg without subsampling": _encode(rgb, "JPEG", subsampling=0, quality=95),
        "progressive jpeg": _encode(coarse, "JPEG", progressive=True),
        "gray jpeg": _encode(gray, "JPEG"),
        "cmyk jpeg": _encode(rgb.convert("CMYK"), "JPEG"),
        "rgb png": _encode(rgb, "PNG"),
        "gray png": _encode(gray, "PNG"),
        "rgba png": _encode(rgba, "PNG"),
        "gray and alpha png": _encode(rgba.convert("LA"), "PNG"),
        "palette png": _encode(rgb.quantize(200), "PNG"),
        "4-bit palette png": _encode(rgb.quantize(9), "PNG"),
        "transparent palette png": _encode(rgb.quantize(16), "PNG", transparency=3),
        "1-bit png": _encode(gray.convert("1"), "PNG"),
        "2-bit png": _png(53, 37, 2, 0, [row.tobytes() for row in noise[:, :14, 0]]),
        "16-bit gray png": _png(53, 37, 16, 0, [row.tobytes() for row in wide[..., 0]]),
        "16-bit rgba png": _png(53, 37, 16, 6, [row.tobytes() for row in wide]),
        "gif": _encode(rgb.quantize(64), "GIF"),
        "transparent gif": _encode(rgb.quantize(64), "GIF", transparency=3),
        "animated gif": _encode(rgb.quantize(64), "GIF", save_all=True, append_images=[coarse.resize((53, 37))]),
        "bmp": _encode(rgb, "BMP"),
        "32-bit bmp": _encode(rgba, "BMP"),
        "webp": _encode(coarse, "WEBP"),
        "lossless webp": _encode(rgb, "WEBP", lossless=True),
    }


@pytest.fixture(scope="session")
def refused() -> dict[str, bytes]:
    """name -> bytes that neither half decodes."""
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8))
    jpeg, whole = _encode(rgb, "JPEG"), _encode(rgb, "PNG")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    return {
        "empty": b"",
        "text": b"hello, I am a photograph",
        "tiff": _encode(rgb, "TIFF"),
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "jpeg header": jpeg[:20],
        "half a png": whole[: len(whole) // 2],
        "png without its last byte": whole[:-1],
        "png with a flipped bit": bytes(flipped),
        "png of 20 bytes": whole[:20],
        "png of 11,000 x 11,000": _png(11_000, 11_000, 1, 0, [b"\0" * 1375] * 11_000),
        "gif of 65,535 x 65,535": b"GIF89a" + b"\xff" * 4 + _encode(rgb.quantize(4), "GIF")[10:],
        "palette bmp": _encode(rgb.quantize(64), "BMP"),
        "bmp header": _encode(rgb, "BMP")[:20],
        "webp with alpha": _encode(rgb.convert("RGBA").rotate(45, expand=True), "WEBP", lossless=True),
        "animated webp": _encode(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)]),
    }
