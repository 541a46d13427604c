"""Metrics and intervals that Keras and scikit-learn cannot compute in one call."""

from kvision.colorfulness import colorfulness
from kvision.metrics.average_precision import AveragePrecision, Matches, average_precision, match
from kvision.metrics.class_mean_iou import ClassMeanIoU
from kvision.metrics.coco import coco_summary
from kvision.metrics.color import chroma_psnr, psnr
from kvision.metrics.detection_errors import DetectionErrors, detection_errors
from kvision.metrics.interval import accuracy_interval
from kvision.metrics.isolated_pixels import isolated_pixels
from kvision.metrics.log_loss import log_loss
from kvision.metrics.mean_interval import mean_interval
from kvision.metrics.segmentation import Confusion, boundary_f1, boundary_pixels, trimap_accuracy

__all__ = [
    "AveragePrecision",
    "ClassMeanIoU",
    "Confusion",
    "DetectionErrors",
    "Matches",
    "accuracy_interval",
    "average_precision",
    "boundary_f1",
    "boundary_pixels",
    "chroma_psnr",
    "coco_summary",
    "colorfulness",
    "detection_errors",
    "isolated_pixels",
    "log_loss",
    "match",
    "mean_interval",
    "psnr",
    "trimap_accuracy",
]
