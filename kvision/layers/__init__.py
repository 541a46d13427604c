"""Keras layers that kvision's models are made of, registered as `kvision>Name`."""

from kvision.layers.body import Body
from kvision.layers.decision_forest import DecisionForest
from kvision.layers.nearest_neighbors import NearestNeighbors
from kvision.layers.preprocess import Preprocess

__all__ = ["Body", "DecisionForest", "NearestNeighbors", "Preprocess"]
