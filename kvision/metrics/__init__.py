"""Metrics and intervals that Keras and scikit-learn cannot compute in one call."""

from kvision.metrics.average_precision import AveragePrecision, Matches, average_precision, match
from kvision.metrics.interval import accuracy_interval
from kvision.metrics.log_loss import log_loss
from kvision.metrics.segmentation import Confusion, boundary_f1, boundary_pixels, trimap_accuracy

__all__ = [
    "AveragePrecision",
    "Confusion",
    "Matches",
    "accuracy_interval",
    "average_precision",
    "boundary_f1",
    "boundary_pixels",
    "log_loss",
    "match",
    "trimap_accuracy",
]
