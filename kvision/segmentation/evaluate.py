"""Measures the accuracy of predicted labels on a data set: in regions, per class and at boundaries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kvision import checks, data, metrics
from kvision.progress import Bar
from kvision.segmentation.predict import Refine, predict

__all__ = ["Scores", "evaluate", "scores"]

_TOLERANCE = 0.0075  # as a share of the image's diagonal, as in Csurka et al. 2013
_WIDTHS = (1, 2, 4, 8, 16)  # largest distances from a boundary in pixels
_RESAMPLES = 1000


@dataclass(frozen=True)
class Scores:
    """Scores of predicted labels on a data set.

    Attributes:
        confusion: The confusion matrix over all pixels of the data set. `confusion.mean_iou` is the usual score.
        interval: `(low, high)`, the 95 % interval of the mean IoU (percentile bootstrap over images).
        boundary_f1: `(classes,)` boundary F1 of each class, averaged over the images that have a boundary of the class.
            NaN if no image has such a boundary.
        trimap: A dictionary from a distance in pixels to the accuracy of the pixels within this distance from a
            boundary. Distances without pixels are left out.

    References:
        Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?", BMVC (boundary F1).
        Kohli, Ladicky and Torr 2009, "Robust higher order potentials for enforcing label consistency", IJCV 82
        (trimap).
    """

    confusion: metrics.Confusion
    interval: tuple[float, float]
    boundary_f1: np.ndarray
    trimap: dict[int, float]

    @property
    def mean_boundary_f1(self) -> float:
        """The mean of `boundary_f1` over the classes that have a boundary. NaN if no class has one."""
        known = self.boundary_f1[~np.isnan(self.boundary_f1)]
        return float(known.mean()) if known.size else float("nan")


def evaluate(
    model: keras.Model,
    images: "data.MaskedImages",
    *,
    seed: int = 0,
    refine: Refine | None = None,
    progress: bool = True,
) -> Scores:
    """Predicts the labels of every image with `predict` and compares them with the masks.

    Args:
        model: A model from images `(batch, height, width, 3)` of any size in [0, 255] to logits or probabilities
            `(batch, height, width, classes)`.
        images: Images with masks. An image with a side longer than `images.longest_side` is made smaller for the model.
            Labels are compared at the original size.
        seed: Seed of the bootstrap.
        refine: A function that changes the output of the model, as in `predict`, such as a dense CRF.
        progress: Whether to show a progress bar.

    Returns:
        The scores over all images.

    Example:
        >>> images = kv.data.from_masks("CamVid/test", label_map)  # doctest: +SKIP
        >>> scores = kv.segmentation.evaluate(network, images)  # doctest: +SKIP
        >>> print(scores.confusion.mean_iou, scores.interval)  # doctest: +SKIP
    """
    rows = Bar(range(len(images)), "evaluate", unit=" images", disable=not progress)
    found = (predict(model, images.original(i), longest_side=images.longest_side, refine=refine) for i in rows)
    return scores((images.mask(i) for i in range(len(images))), found, len(images.class_names), seed=seed)


def scores(
    references: Iterable[np.ndarray],
    predictions: Iterable[np.ndarray],
    classes: int,
    *,
    seed: int = 0,
    resamples: int = _RESAMPLES,
) -> Scores:
    """Compares masks with predictions, image by image.

    Args:
        references: Masks `(height, width)` of integers, at least one.
        predictions: Predicted classes, of the same shapes.
        classes: Number of classes.
        seed: Seed of the bootstrap.
        resamples: Number of resamples of the bootstrap, at least 1. Use 1 if the interval is not needed.

    Returns:
        The scores over all images.

    Raises:
        UserError: If there is no mask.
    """
    confusions, boundaries, near = [], [], []
    for labels, predicted in zip(references, predictions, strict=True):
        confusions.append(metrics.Confusion.of(labels, predicted, classes))
        tolerance = _TOLERANCE * float(np.hypot(*labels.shape))
        boundaries.append(metrics.boundary_f1(labels, predicted, classes, tolerance=tolerance))
        near.append(metrics.trimap_accuracy(labels, predicted, _WIDTHS))
    if not confusions:
        raise checks.UserError("references", expected="at least one mask", received="none")
    total = np.sum(near, axis=0)
    boundaries = np.array(boundaries)
    known = ~np.isnan(boundaries)
    mean = np.divide(np.nansum(boundaries, axis=0), known.sum(axis=0), out=np.full(classes, np.nan), where=known.any(0))
    return Scores(
        confusion=sum(confusions[1:], confusions[0]),
        interval=_interval([each.matrix for each in confusions], seed, resamples),
        boundary_f1=mean,
        trimap={width: float(right / count) for width, (right, count) in zip(_WIDTHS, total, strict=True) if count},
    )


def _interval(matrices: Sequence[np.ndarray], seed: int, resamples: int) -> tuple[float, float]:
    stacked, random = np.array(matrices), np.random.default_rng(seed)
    draws = random.multinomial(len(stacked), np.full(len(stacked), 1 / len(stacked)), resamples)
    found = [metrics.Confusion(np.tensordot(draw, stacked, 1)).mean_iou for draw in draws]
    known = [value for value in found if not np.isnan(value)] or [float("nan")]
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
