"""Numbers about predictions that neither Keras nor scikit-learn gives in one call."""

from kvision.metrics.interval import accuracy_interval

__all__ = ["accuracy_interval"]
