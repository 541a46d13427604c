"""Numbers about predictions that neither Keras nor scikit-learn gives in one call."""

from kvision.metrics.interval import accuracy_interval
from kvision.metrics.log_loss import log_loss
from kvision.metrics.segmentation import Confusion, boundary_f1, boundary_pixels, trimap_accuracy

__all__ = ["Confusion", "accuracy_interval", "boundary_f1", "boundary_pixels", "log_loss", "trimap_accuracy"]
