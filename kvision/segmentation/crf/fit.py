"""Chooses the parameters of a dense CRF on validation images."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from kvision import checks
from kvision.crf_parameters import CRFParameters
from kvision.progress import Bar
from kvision.segmentation.crf.dense import dense_crf
from kvision.segmentation.evaluate import scores

__all__ = ["FittedCRF", "fit_crf"]

# The defaults, and the values that DeepLab-LargeFOV uses on 500 x 375 pixels.
_STARTS = (CRFParameters(), CRFParameters(4.0, 0.078, 5.0, 3.0, 0.0048))
_FACTORS = (2.0, 1.4)  # of the two rounds
# Color and weight change the most, so they come first.
_SEARCHED = ("bilateral_color", "bilateral_weight", "bilateral_distance", "spatial_weight", "spatial_distance")


@dataclasses.dataclass(frozen=True)
class FittedCRF:
    """The result of `fit_crf`.

    Attributes:
        parameters: The best parameters. If no trial was better than the probabilities without a CRF, both weights
            are 0, so that the CRF changes nothing.
        table: A dictionary for each trial, in the order of the search, ready for JSON: the values of the parameters,
            `mean_iou`, `boundary_f1`, and `allowed` (whether the mean IoU reaches the floor). The first trial has no
            CRF.
    """

    parameters: CRFParameters
    table: tuple[dict, ...]


def fit_crf(
    probabilities: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    *,
    start: CRFParameters | None = None,
    floor: float = 0.005,
    refine: Callable[[np.ndarray, np.ndarray, CRFParameters], np.ndarray] = dense_crf,
    progress: bool = True,
) -> FittedCRF:
    """Searches the parameters with the best boundary F1, without losing mean IoU.

    The search begins with the better of two starts: the defaults, and the parameters of DeepLab-LargeFOV. Then it
    changes one parameter after the other by a factor: in two rounds, with the factors 2 and 1.4, it tries the larger
    and the smaller value and keeps what is better. A trial whose mean IoU is more than `floor` below the
    mean IoU without a CRF is not allowed. As long as no trial is allowed, the one with the highest mean IoU is kept.
    The search has no random part. Use images that the network was not trained on, because a network is too certain on
    its own training images. Never use test images.

    Args:
        probabilities: `(height, width, classes)` for each image, the output of the network.
        images: `(height, width, 3)` RGB in [0, 255] for each image, of the same sizes.
        masks: `(height, width)` integer labels for each image. The label 255 is ignored.
        start: The only start of the search. If None, both starts are tried.
        floor: The largest loss of mean IoU, from 0 to 1.
        refine: A function of probabilities, image and parameters that returns probabilities.
        progress: Whether to show a progress bar.

    Returns:
        The best parameters, and a table of all trials.

    Raises:
        UserError: If there are no images, or the numbers of probabilities, images and masks differ.

    Example:
        >>> mask = np.repeat([[0, 1]], 10, axis=1).repeat(12, axis=0)
        >>> image = np.where(mask[..., None] == 1, 200, 40).repeat(3, axis=2)
        >>> soft = 0.8 * np.eye(2)[np.roll(mask, 2, axis=1)] + 0.1
        >>> found = kv.segmentation.fit_crf([soft], [image], [mask], progress=False)
        >>> found.table[0]["boundary_f1"] < found.table[-1]["boundary_f1"]
        True
    """
    counts = {"probabilities": len(probabilities), "images": len(images), "masks": len(masks)}
    if not len(probabilities) or len(set(counts.values())) > 1:
        raise checks.UserError("probabilities, images, masks", expected="equal numbers, at least 1", received=counts)
    trials = _Trials(probabilities, images, masks, refine)
    starts = _STARTS if start is None else (start,)
    count = 1 + len(starts) + 2 * len(_FACTORS) * len(_SEARCHED)
    with Bar(total=count, desc="fit CRF", unit=" trials", disable=not progress) as bar:
        plain = trials(dataclasses.replace(starts[0], bilateral_weight=0.0, spatial_weight=0.0), -1.0)
        bar.update()
        least = plain["mean_iou"] - floor
        tried = [(_order(found := trials(one, least)), found, one) for one in starts]
        bar.update(len(starts))
        _, row, best = max(tried, key=lambda each: each[0])
        for factor in _FACTORS:
            for name in _SEARCHED:
                value = getattr(best, name)
                for other in (value * factor, value / factor):
                    candidate = dataclasses.replace(best, **{name: other})
                    found = trials(candidate, least)
                    if _order(found) > _order(row):
                        best, row = candidate, found
                    bar.update()
    if not row["allowed"] or row["boundary_f1"] <= plain["boundary_f1"]:
        best = dataclasses.replace(best, bilateral_weight=0.0, spatial_weight=0.0)
    return FittedCRF(best, tuple(trials.rows))


def _order(row: dict) -> tuple[bool, float]:
    return row["allowed"], row["boundary_f1"] if row["allowed"] else row["mean_iou"]


class _Trials:
    """Measures parameters on all images, and keeps a row for each trial."""

    def __init__(self, probabilities, images, masks, refine):
        self._data, self._refine = list(zip(probabilities, images, masks, strict=True)), refine
        self.rows: list[dict] = []

    def __call__(self, parameters: CRFParameters, least: float) -> dict:
        found = [self._refine(p, image, parameters).argmax(axis=2) for p, image, _ in self._data]
        classes = self._data[0][0].shape[2]
        measured = scores([mask for *_, mask in self._data], found, classes, resamples=1)
        iou, boundary = measured.confusion.mean_iou, measured.mean_boundary_f1
        # Masks without any boundary have no boundary F1.
        boundary = 0.0 if np.isnan(boundary) else boundary
        row = {**parameters.facts(), "mean_iou": iou, "boundary_f1": boundary, "allowed": bool(iou >= least)}
        self.rows.append(row)
        return row
