"""Pure functions of tensors on every backend. The module `fused` is for TensorFlow only."""

from kvision.ops import chroma_bins, color_spaces
from kvision.ops.edges import diffuse, edge_targets
from kvision.ops.interleave import interleave
from kvision.ops.patches import from_patches, to_patches
from kvision.ops.sizes import sizes
from kvision.ops.speckle import isolated, without_new_speckle
from kvision.ops.unit import unit
from kvision.ops.warp import warp

__all__ = [
    "chroma_bins",
    "color_spaces",
    "diffuse",
    "edge_targets",
    "from_patches",
    "interleave",
    "isolated",
    "sizes",
    "to_patches",
    "unit",
    "warp",
    "without_new_speckle",
]
