"""Backbones: images -> features."""

from kvision.backbones.create import available, create, image_size, stages
from kvision.backbones.embed import embed, embed_each

__all__ = ["available", "create", "embed", "embed_each", "image_size", "stages"]
