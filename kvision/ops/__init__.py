"""Pure functions of tensors on every backend. The module `fused` is for TensorFlow only."""

from kvision.ops.edges import diffuse, edge_targets
from kvision.ops.interleave import interleave
from kvision.ops.patches import from_patches, to_patches
from kvision.ops.sizes import sizes
from kvision.ops.unit import unit
from kvision.ops.warp import warp

__all__ = ["diffuse", "edge_targets", "from_patches", "interleave", "sizes", "to_patches", "unit", "warp"]
