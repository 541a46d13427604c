"""The one pixel path: encoded bytes -> RGB, the same in a TensorFlow graph (`graph`) and with Pillow (`pillow`)."""

from kvision.pixels.header import MAX_BYTES, MAX_PIXELS, BadImage, Header, read_header

__all__ = ["MAX_BYTES", "MAX_PIXELS", "BadImage", "Header", "read_header"]
