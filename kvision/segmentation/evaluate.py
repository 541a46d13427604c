"""What a network's labels are worth on a whole set: regions, classes and boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks, data, metrics
from kvision.progress import Bar
from kvision.segmentation.predict import predict

__all__ = ["Scores", "evaluate"]

_TOLERANCE = 0.0075  # of the diagonal, as Csurka et al. 2013
_WIDTHS = (1, 2, 4, 8, 16)  # pixels from a boundary
_RESAMPLES = 1000


@dataclass(frozen=True)
class Scores:
    """confusion: over all pixels of the set. interval: of its mIoU, 95 %, by resampling images (percentile bootstrap).
    boundary_f1: (K,) means over the images that have a boundary of the class, nan where none has. trimap: {pixels from
    a boundary: share of pixels so near one that are right}.
    """

    confusion: metrics.Confusion
    interval: tuple[float, float]
    boundary_f1: np.ndarray
    trimap: dict[int, float]

    @property
    def mean_boundary_f1(self) -> float:
        """Of the classes that have one; nan where none has."""
        known = self.boundary_f1[~np.isnan(self.boundary_f1)]
        return float(known.mean()) if known.size else float("nan")


def evaluate(model: keras.Model, images: "data.MaskedImages", *, seed: int = 0, progress: bool = True) -> Scores:
    """Labels every image in its own size and compares with its mask, in the mask's size.

    model: images (B, H, W, 3) of any size -> scores (B, H, W, K), see `predict`. seed: of the bootstrap.
    """
    rows = Bar(range(len(images)), "evaluate", unit=" images", disable=not progress)
    found = (predict(model, images.original(i), longest_side=images.longest_side) for i in rows)
    return scores((images.mask(i) for i in range(len(images))), found, len(images.class_names), seed=seed)


def scores(references, predictions, classes: int, *, seed: int = 0) -> Scores:
    """Compares masks with predictions, image by image.

    Args:
        references: Masks `(height, width)` of integers, at least one.
        predictions: Predicted classes, of the same shapes.
        classes: Number of classes.
        seed: Of the bootstrap.

    Raises:
        kvision.UserError: If there is no mask.
    """
    confusions, boundaries, near = [], [], []
    for labels, predicted in zip(references, predictions, strict=True):
        confusions.append(metrics.Confusion.of(labels, predicted, classes))
        tolerance = _TOLERANCE * float(np.hypot(*labels.shape))
        boundaries.append(metrics.boundary_f1(labels, predicted, classes, tolerance=tolerance))
        near.append(metrics.trimap_accuracy(labels, predicted, _WIDTHS))
    if not confusions:
        raise checks.error("references", expected="at least one mask", received="none")
    total = np.sum(near, axis=0)
    boundaries = np.array(boundaries)
    known = ~np.isnan(boundaries)
    mean = np.divide(np.nansum(boundaries, axis=0), known.sum(axis=0), out=np.full(classes, np.nan), where=known.any(0))
    return Scores(
        confusion=sum(confusions[1:], confusions[0]),
        interval=_interval([each.matrix for each in confusions], seed),
        boundary_f1=mean,
        trimap={width: float(right / count) for width, (right, count) in zip(_WIDTHS, total, strict=True) if count},
    )


def _interval(matrices: Sequence[np.ndarray], seed: int) -> tuple[float, float]:
    stacked, random = np.array(matrices), np.random.default_rng(seed)
    draws = random.multinomial(len(stacked), np.full(len(stacked), 1 / len(stacked)), _RESAMPLES)
    found = [metrics.Confusion(np.tensordot(draw, stacked, 1)).mean_iou for draw in draws]
    known = [value for value in found if not np.isnan(value)] or [float("nan")]
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
