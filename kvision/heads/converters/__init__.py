"""Converts fitted scikit-learn estimators into Keras layers. Each family has a module. Tables list all converters."""

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
