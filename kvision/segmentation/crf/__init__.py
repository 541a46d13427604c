"""The dense CRF: it sharpens the boundaries of predicted labels by the colors of the image."""

from kvision.crf_parameters import CRFParameters
from kvision.segmentation.crf.dense import dense_crf
from kvision.segmentation.crf.fit import FittedCRF, fit_crf

__all__ = ["CRFParameters", "FittedCRF", "dense_crf", "fit_crf"]
