"""Classifiers on features that become layers of a Keras model, and the SVMs and box regression of R-CNN."""

from kvision.heads.box_ridge import BoxRidge
from kvision.heads.convert import from_sklearn
from kvision.heads.forest import ForestHead
from kvision.heads.knn import KNNHead
from kvision.heads.logistic import LogisticHead
from kvision.heads.mined_svm import MinedSVM
from kvision.heads.prototype import PrototypeHead
from kvision.heads.store import load, save

__all__ = [
    "BoxRidge",
    "ForestHead",
    "KNNHead",
    "LogisticHead",
    "MinedSVM",
    "PrototypeHead",
    "from_sklearn",
    "load",
    "save",
]
