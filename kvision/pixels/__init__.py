"""Decodes and resizes images, with the same results in a TensorFlow graph (`graph`) and in Pillow (`pillow`)."""

from kvision.pixels.header import MAX_BYTES, MAX_PIXELS, BadImage, Header, read_header

__all__ = ["MAX_BYTES", "MAX_PIXELS", "BadImage", "Header", "read_header"]
