"""Decoders, which turn the feature maps of a backbone into a score for each pixel and class."""

from kvision.decoders.blocks import UPSCALINGS
from kvision.decoders.edges import with_edges
from kvision.decoders.fcn import fcn
from kvision.decoders.hypercolumns import hypercolumns
from kvision.decoders.unet import unet

__all__ = ["UPSCALINGS", "fcn", "hypercolumns", "unet", "with_edges"]
