"""Backbones: images -> features."""

from kvision.backbones.create import available, create, stages
from kvision.backbones.embed import embed

__all__ = ["available", "create", "embed", "stages"]
