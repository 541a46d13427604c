"""Backbones: images -> features."""

from kvision.backbones.create import available, create, image_size, stages
from kvision.backbones.embed import embed

__all__ = ["available", "create", "embed", "image_size", "stages"]
