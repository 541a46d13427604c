"""Keras layers that kvision's models are made of, registered as `kvision>Name`."""

from kvision.layers.body import Body
from kvision.layers.decision_forest import DecisionForest
from kvision.layers.local_response_norm import LocalResponseNorm
from kvision.layers.nearest_neighbors import NearestNeighbors
from kvision.layers.preprocess import Preprocess
from kvision.layers.zero_padded_shortcut import ZeroPaddedShortcut

__all__ = ["Body", "DecisionForest", "LocalResponseNorm", "NearestNeighbors", "Preprocess", "ZeroPaddedShortcut"]
