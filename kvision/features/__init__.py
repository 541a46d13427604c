"""Features: a frozen network run over images once, by the engine that is fastest here, and cached by content."""

from kvision.features.embed import embed, embed_each

__all__ = ["embed", "embed_each"]
