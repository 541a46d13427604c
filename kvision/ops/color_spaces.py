"""Luma and chroma of RGB images in BT.601, BT.709 and BT.2020; the functions are those of `kvision.luma_chroma`."""

from kvision.luma_chroma import COEFFICIENTS, analog, clipped_share, digital, in_gamut, luma, luma_chroma, rgb

__all__ = ["COEFFICIENTS", "analog", "clipped_share", "digital", "in_gamut", "luma", "luma_chroma", "rgb"]
