"""The Keras loss of a network that predicts classes and the edges between them."""

from collections.abc import Sequence

import keras
from keras import ops

from kvision import checks
from kvision.losses.edges import edge_attention, edge_cross_entropy
from kvision.losses.pixel_loss import PixelLoss
from kvision.losses.pixels import pixel_cross_entropy
from kvision.ops import diffuse, edge_targets

__all__ = ["EdgedLoss"]

_LEAST = 1e-6  # a probability; the logarithm of 0 is not finite


@keras.saving.register_keras_serializable(package="kvision")
class EdgedLoss(keras.losses.Loss):
    """The Keras loss of `kv.decoders.with_edges`: the loss of the classes, of the edges, and of the classes at edges.

    The labels are `(batch, height, width)`, `ignore` or 0 to K - 1. The outputs are `(batch, height, width, K + 1)`:
    the logits of the classes and the logit of an edge. The loss is the mean over the images of the sum of these terms:

    - `PixelLoss` of the classes.
    - `edge_weight` times `kv.losses.edge_cross_entropy`.
    - `attention_weight` times `kv.losses.edge_attention`.
    - `fused_weight` times the cross entropy of the class probabilities after `fusion_steps` steps of `kv.ops.diffuse`.
      Its gradient reaches the edges: they learn to stop the diffusion where it would change right classes.

    The last term replaces GSCNN's last term, which compares the slopes of the class probabilities with the edges of the
    labels.

    Args:
        terms: The loss of the classes, see `PixelLoss`. GSCNN uses the cross entropy.
        edge_weight: Weight of the loss of the edges. Defaults to 20, the value of GSCNN's published code.
        attention_weight: Weight of the cross entropy where the network is sure of an edge. Defaults to 1, as in GSCNN.
        fused_weight: Weight of the cross entropy after the fusion.
        fusion_steps: Number of steps of the fusion.
        neighbors: 4 or 8, see `kv.ops.edge_targets`.
        thickness: Width of the true edges on each side of a boundary, in pixels. Defaults to 1. GSCNN uses 2 for
            photographs of 2048 x 1024 pixels.
        class_weights: K weights of the classes in the cross entropy. If None, all classes have the weight 1.
        ignore: Label of the pixels that do not count. If None, all pixels count.
        name: Name of the loss.

    Raises:
        UserError: If an option is not valid.

    Example:
        >>> loss = kv.losses.EdgedLoss(("cross_entropy", "dice"))
        >>> labels, outputs = np.zeros((1, 4, 4), "int32"), np.zeros((1, 4, 4, 3))
        >>> float(loss(labels, outputs)) > 0
        True

    References:
        Takikawa et al. 2019, arXiv 1907.05740 (GSCNN), sections 3.2 and 3.3. Chen et al. 2016, arXiv
        1511.03328, which trains edges through a fusion (the domain transform) too.
    """

    def __init__(
        self,
        terms: Sequence[str] = ("cross_entropy",),
        *,
        edge_weight: float = 20.0,
        attention_weight: float = 1.0,
        fused_weight: float = 1.0,
        fusion_steps: int = 3,
        neighbors: int = 4,
        thickness: int = 1,
        class_weights: Sequence[float] | None = None,
        ignore: int | None = 255,
        name: str = "edged_loss",
    ):
        super().__init__(name=name)
        weights = {"edge_weight": edge_weight, "attention_weight": attention_weight, "fused_weight": fused_weight}
        for argument, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise checks.UserError(argument, expected="a finite number of at least 0", received=weight)
        if not isinstance(fusion_steps, int) or isinstance(fusion_steps, bool) or fusion_steps < 1:
            raise checks.UserError("fusion_steps", expected="an integer of at least 1", received=fusion_steps)
        edge_targets(ops.zeros((1, 2, 2), "int32"), neighbors=neighbors, thickness=thickness)  # checks both
        self.pixels = PixelLoss(terms, class_weights=class_weights, ignore=ignore)
        self.edge_weight, self.attention_weight = float(edge_weight), float(attention_weight)
        self.fused_weight, self.fusion_steps = float(fused_weight), fusion_steps
        self.neighbors, self.thickness = neighbors, thickness

    def call(self, y_true, y_pred):
        logits, edges = y_pred[..., :-1], y_pred[..., -1]
        ignore, weights = self.pixels.ignore, self.pixels.class_weights
        options = {"neighbors": self.neighbors, "thickness": self.thickness, "ignore": ignore}
        of_edges = edge_cross_entropy(y_true, edges, **options)
        at_edges = edge_attention(y_true, logits, edges, class_weights=weights, ignore=ignore)
        total = self.pixels.call(y_true, logits) + self.edge_weight * of_edges + self.attention_weight * at_edges
        if not self.fused_weight:
            return total
        fused = diffuse(ops.softmax(logits), ops.sigmoid(edges[..., None]), steps=self.fusion_steps)
        # Logarithms of probabilities are logits.
        log_fused = ops.log(fused + _LEAST)
        return total + self.fused_weight * pixel_cross_entropy(y_true, log_fused, class_weights=weights, ignore=ignore)

    def get_config(self):
        return {
            **self.pixels.get_config(),
            "edge_weight": self.edge_weight,
            "attention_weight": self.attention_weight,
            "fused_weight": self.fused_weight,
            "fusion_steps": self.fusion_steps,
            "neighbors": self.neighbors,
            "thickness": self.thickness,
            "name": self.name,
        }
