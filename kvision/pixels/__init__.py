"""Decodes and resizes images, with the same results in a TensorFlow graph (`graph`) and in Pillow (`pillow`).

`VideoReader` and `VideoWriter` read and write videos.
"""

from kvision.pixels.header import MAX_BYTES, MAX_PIXELS, BadImage, Header, read_header
from kvision.pixels.video_info import VideoInfo
from kvision.pixels.video_reader import VideoReader
from kvision.pixels.video_writer import VideoWriter

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "BadImage",
    "Header",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "read_header",
]
