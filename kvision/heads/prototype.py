"""A classifier by the nearest class mean."""

import keras
import numpy as np

from kvision.heads.converters.contract import dense
from kvision.heads.head import Head
from kvision.layers import Chain, ColumnScaling

__all__ = ["PrototypeHead"]


class PrototypeHead(Head):
    """Classifies by the squared Euclidean distance to the mean of each class, its prototype.

    The probabilities are the softmax of the negative distances, as in prototypical networks. With `centered` and
    `normalized` this is SimpleShot. The learned arrays are `center_` `(width,)` and `prototypes_` `(classes, width)`,
    both float32.

    Args:
        centered: Whether the mean of the training features is subtracted before the normalization.
        normalized: Whether features are scaled to unit length. Without it, `centered` changes nothing.

    Example:
        >>> features, labels = np.array([[0.0], [1.0], [4.0], [5.0]]), ["cat", "cat", "dog", "dog"]
        >>> head = kv.heads.PrototypeHead().fit(features, labels)
        >>> head.predict([[0.2], [4.4]]).tolist()
        ['cat', 'dog']

    References:
        Snell et al. 2017, arXiv 1703.05175, equations 1 and 2; Wang et al. 2019, arXiv 1911.04623 (SimpleShot).
    """

    def __init__(self, *, centered: bool = False, normalized: bool = False):
        self.centered = centered
        self.normalized = normalized

    def _learn(self, X, codes):
        # Distances do not depend on the center, and float32 keeps more digits of features that are near 0.
        shift = self.centered or not self.normalized
        center = X.mean(axis=0, dtype="float64").astype("float32") * np.float32(shift)
        placed = X.astype("float64") - center
        if self.normalized:
            lengths = np.linalg.norm(placed, axis=1, keepdims=True)
            placed = placed / np.where(lengths == 0, 1, lengths)
        means = np.stack([placed[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
        return {"center_": center, "prototypes_": means.astype("float32")}

    def _check_learned(self):
        self._check_array("center_", "f", self.n_features_in_)
        self._check_array("prototypes_", "f", len(self.classes_), self.n_features_in_)

    def _layer(self):
        # -|x - m|^2 = 2 x.m - |m|^2 - |x|^2, and the softmax does not depend on |x|^2.
        means = self.prototypes_.astype("float64")
        scores = dense((2 * means.T).astype("float32"), -np.square(means).sum(axis=1).astype("float32"), "softmax")
        scale = [keras.layers.UnitNormalization(axis=1, dtype="float32")] if self.normalized else []
        chain = Chain([ColumnScaling.of(len(self.center_), center=self.center_), *scale, scores])
        chain.build((None, len(self.center_)))
        return chain
