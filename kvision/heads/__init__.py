"""Classifiers on features that become layers of a Keras model."""

from kvision.heads.convert import from_sklearn
from kvision.heads.forest import ForestHead
from kvision.heads.knn import KNNHead
from kvision.heads.logistic import LogisticHead
from kvision.heads.store import load, save

__all__ = ["ForestHead", "KNNHead", "LogisticHead", "from_sklearn", "load", "save"]
