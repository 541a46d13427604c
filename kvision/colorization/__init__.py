"""Coloring of gray and sepia pictures and videos: networks, hints, training examples, frames and measurements."""

from kvision.colorization.bin_counts import bin_counts
from kvision.colorization.colorize import colorize
from kvision.colorization.evaluate import Scores, constant, evaluate, mean_chroma
from kvision.colorization.examples import ColorAugment, ColorExamples
from kvision.colorization.frame_examples import ColorFrames
from kvision.colorization.hints import hint_map, random_hints
from kvision.colorization.memory import activation_bytes
from kvision.colorization.network import DECODERS, HEADS, chroma, colorizer, network
from kvision.colorization.paired import paired
from kvision.colorization.video import Window, at_size, colorized, windows
from kvision.colorization.warp_error import WarpError, warp_error

__all__ = [
    "DECODERS",
    "HEADS",
    "ColorAugment",
    "ColorExamples",
    "ColorFrames",
    "Scores",
    "WarpError",
    "Window",
    "activation_bytes",
    "at_size",
    "bin_counts",
    "chroma",
    "colorize",
    "colorized",
    "colorizer",
    "constant",
    "evaluate",
    "hint_map",
    "mean_chroma",
    "network",
    "paired",
    "random_hints",
    "warp_error",
    "windows",
]
