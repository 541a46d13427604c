"""Backbones: images -> features. Some come with their classifier too, to train from the start."""

from kvision.backbones.alexnet import alexnet
from kvision.backbones.create import available, create, image_size, smallest_size, stages
from kvision.backbones.embed import embed, embed_each
from kvision.backbones.googlenet import googlenet
from kvision.backbones.plain_residual import plain_residual

__all__ = [
    "alexnet",
    "available",
    "create",
    "embed",
    "embed_each",
    "googlenet",
    "image_size",
    "plain_residual",
    "smallest_size",
    "stages",
]
