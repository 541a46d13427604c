"""Computes features of images: the fastest engine runs a frozen network over them once and caches the result."""

from kvision.features.averaged import averaged
from kvision.features.embed import embed, embed_each

__all__ = ["averaged", "embed", "embed_each"]
