"""Coloring of videos with networks that see neighboring frames, and the stability of colors over time."""

from kvision.colorization.video import Window, at_size, colorized, windows
from kvision.colorization.warp_error import WarpError, warp_error

__all__ = ["WarpError", "Window", "at_size", "colorized", "warp_error", "windows"]
