"""Fitted scikit-learn estimators become Keras layers: one file for each family, one table of all."""

from kvision.heads.converters import boosting, linear, neighbors, networks, support_vectors, transformers, trees
from kvision.heads.converters.contract import Converter

__all__ = ["CLASSIFIERS", "TRANSFORMERS"]

CLASSIFIERS: dict[type, Converter] = {
    **linear.CONVERTERS,
    **trees.CONVERTERS,
    **boosting.CONVERTERS,
    **neighbors.CONVERTERS,
    **support_vectors.CONVERTERS,
    **networks.CONVERTERS,
}
TRANSFORMERS = transformers.TRANSFORMERS
