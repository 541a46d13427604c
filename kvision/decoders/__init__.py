"""Decoders: a backbone's feature pyramid -> a score for each pixel."""

from kvision.decoders.blocks import UPSCALINGS
from kvision.decoders.fcn import fcn
from kvision.decoders.unet import unet

__all__ = ["UPSCALINGS", "fcn", "unet"]
