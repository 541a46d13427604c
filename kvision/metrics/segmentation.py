"""What a label per pixel is worth, over a whole set: regions, and the boundaries between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from kvision import checks

__all__ = ["Confusion", "boundary_f1", "boundary_pixels", "trimap_accuracy"]


@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of labels and predictions over a whole set, and the scores that are read off it.

    `Confusion.of` counts one image or batch, and `+` joins two of them. A mean of the scores of images or batches is
    another number than the score of the set. Every score is nan without pixels.

    Attributes:
        matrix: `(K, K)` int64; row i, column j counts the pixels of class i that were predicted as class j.

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 5.
    """

    matrix: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, predictions: np.ndarray, classes: int, *, ignore: int | None = 255) -> "Confusion":
        """labels, predictions: integers of one shape. ignore: a label that is not counted; None counts all.

        Raises UserError for other labels or predictions than 0 ... classes - 1.
        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        if labels.shape != predictions.shape:
            raise checks.error("predictions", expected=f"the labels' shape {labels.shape}", received=predictions.shape)
        kept = np.ones(labels.shape, bool) if ignore is None else labels != ignore
        pairs = {"labels": labels[kept].astype("int64"), "predictions": predictions[kept].astype("int64")}
        for name, values in pairs.items():
            if values.size and not 0 <= values.min() <= values.max() < classes:
                received = (int(values.min()), int(values.max()))
                raise checks.error(name, expected=f"0 to {classes - 1}, or {ignore} to ignore", received=received)
        counts = np.bincount(pairs["labels"] * classes + pairs["predictions"], minlength=classes**2)
        return cls(counts.reshape(classes, classes))

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.matrix + other.matrix)

    @property
    def pixel_accuracy(self) -> float:
        """The share of pixels that are right; nan without pixels."""
        return _share(np.trace(self.matrix), self.matrix.sum())

    @property
    def accuracies(self) -> np.ndarray:
        """(K,): of each class's pixels the share that are right; nan where it has none."""
        return _shares(np.diag(self.matrix), self.matrix.sum(axis=1))

    @property
    def ious(self) -> np.ndarray:
        """(K,): intersection over union; nan where a class occurs nowhere."""
        right = np.diag(self.matrix)
        return _shares(right, self.matrix.sum(axis=0) + self.matrix.sum(axis=1) - right)

    @property
    def mean_iou(self) -> float:
        """The mean of `ious` (mIoU) over the classes that are in the reference or predicted; nan without pixels."""
        return _mean(self.ious)

    @property
    def mean_accuracy(self) -> float:
        """The mean of `accuracies` over the classes of the reference; nan without pixels.

        A class that is predicted but absent from the reference is left out, as in the published code of the paper: the
        accuracy of such a class is 0 / 0. Its pixels lower the accuracies of the classes that they belong to.
        `mean_iou` counts the class with 0.
        """
        return _mean(self.accuracies)

    @property
    def frequency_weighted_iou(self) -> float:
        """The mean of `ious`, weighted by the pixels of each class in the reference; nan without pixels."""
        counts = self.matrix.sum(axis=1)
        return _share(np.sum(np.where(counts > 0, self.ious, 0) * counts), counts.sum())


def boundary_f1(
    labels: np.ndarray, predictions: np.ndarray, classes: int, *, tolerance: float, ignore: int | None = 255
) -> np.ndarray:
    """(K,): how well each class's boundaries agree in one image (Csurka, Larlus & Perronnin 2013, section 3; BF score).

    labels, predictions: (H, W). tolerance: pixels, .75 % of the diagonal in the paper; a boundary pixel counts as found
    when one of the other map is at most so far away. Of precision (of the predicted boundary) and recall (of the
    reference's) the harmonic mean; 0 where only one of them has the class, nan where none has a boundary of it.
    What is ignored is no boundary, and predictions there are passed over. Average over images with `nanmean`.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 2 or labels.shape != predictions.shape:
        raise checks.error("predictions", expected="(H, W), as the labels", received=(labels.shape, predictions.shape))
    kept = np.ones(labels.shape, bool) if ignore is None else labels != ignore
    scores = np.full(classes, np.nan)
    for label in range(classes):
        reference = boundary_pixels((labels == label) & kept, kept)
        predicted = boundary_pixels((predictions == label) & kept, kept)
        if not reference.any() and not predicted.any():
            continue
        precision, recall = _near(predicted, reference, tolerance), _near(reference, predicted, tolerance)
        scores[label] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def boundary_pixels(mask: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """(H, W) bool -> its pixels that touch, at one of four sides, a pixel outside of it; the image's rim is no side.

    within: pixels outside of this mask are no sides either.
    """
    mask = np.asarray(mask, bool)
    other = ~mask if within is None else ~mask & np.asarray(within, bool)
    touched = np.zeros_like(mask)
    touched[1:] |= other[:-1]
    touched[:-1] |= other[1:]
    touched[:, 1:] |= other[:, :-1]
    touched[:, :-1] |= other[:, 1:]
    return mask & touched


def trimap_accuracy(
    labels: np.ndarray, predictions: np.ndarray, widths: Sequence[float], *, ignore: int | None = 255
) -> list[tuple[int, int]]:
    """For each width the (right, all) pixels of one image within so many pixels of a boundary between labels (Kohli,
    Ladicky & Torr 2009, section 5): sum over images, then divide.

    labels, predictions: (H, W); `ignore` makes no boundary and is not counted.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    kept = np.ones(labels.shape, bool) if ignore is None else labels != ignore
    edges = np.zeros(labels.shape, bool)
    for label in np.unique(labels[kept]):
        edges |= boundary_pixels(labels == label, kept)
    if not edges.any():
        return [(0, 0) for _ in widths]
    distance = distance_transform_edt(~edges)
    right = (labels == predictions) & kept
    return [(int((right & (distance < w)).sum()), int((kept & (distance < w)).sum())) for w in widths]


def _near(these: np.ndarray, those: np.ndarray, tolerance: float) -> float:
    """The share of `these` pixels with one of `those` at most `tolerance` away."""
    if not these.any() or not those.any():
        return 0.0
    return float((distance_transform_edt(~those)[these] <= tolerance).mean())


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
