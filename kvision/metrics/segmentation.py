"""Metrics of segmentation over a whole set of images, for regions and for the boundaries between regions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from kvision import checks

__all__ = ["Confusion", "boundary_f1", "boundary_pixels", "trimap_accuracy"]


@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of labels and predictions over a whole set of images, with scores.

    `Confusion.of` counts one image or batch, and `+` adds two confusion matrices. The score of a set is not the mean of
    the scores of its images or batches. Every score is nan if there are no pixels.

    Attributes:
        matrix: `(K, K)` int64. Row i, column j counts the pixels of class i that were predicted as class j.

    Example:
        >>> labels, predictions = np.array([[0, 0], [1, 1]]), np.array([[0, 1], [1, 1]])
        >>> confusion = kv.metrics.Confusion.of(labels, predictions, 2)
        >>> confusion.pixel_accuracy, round(confusion.mean_iou, 3)
        (0.75, 0.583)

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 5.
    """

    matrix: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, predictions: np.ndarray, classes: int, *, ignore: int | None = 255) -> "Confusion":
        """Counts the pixels of one image or batch.

        Args:
            labels: Integers of any shape, `ignore` or 0 to `classes` - 1.
            predictions: Integers of the same shape, 0 to `classes` - 1.
            classes: Number K of classes.
            ignore: Label of the pixels that are not counted. If None, all pixels are counted.

        Returns:
            The confusion matrix.

        Raises:
            UserError: If the shapes differ, or a label or prediction is out of range.
        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        if labels.shape != predictions.shape:
            raise checks.UserError(
                "predictions", expected=f"the labels' shape {labels.shape}", received=predictions.shape
            )
        kept = np.ones(labels.shape, bool) if ignore is None else labels != ignore
        pairs = {"labels": labels[kept].astype("int64"), "predictions": predictions[kept].astype("int64")}
        for name, values in pairs.items():
            if values.size and not 0 <= values.min() <= values.max() < classes:
                received = (int(values.min()), int(values.max()))
                raise checks.UserError(name, expected=f"0 to {classes - 1}, or {ignore} to ignore", received=received)
        counts = np.bincount(pairs["labels"] * classes + pairs["predictions"], minlength=classes**2)
        return cls(counts.reshape(classes, classes))

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.matrix + other.matrix)

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that are right. nan without pixels."""
        return _share(np.trace(self.matrix), self.matrix.sum())

    @property
    def accuracies(self) -> np.ndarray:
        """Share of right pixels for each class, `(K,)`. nan for a class without pixels."""
        return _shares(np.diag(self.matrix), self.matrix.sum(axis=1))

    @property
    def ious(self) -> np.ndarray:
        """Intersection over union of each class, `(K,)`. nan for a class that is neither labeled nor predicted."""
        right = np.diag(self.matrix)
        return _shares(right, self.matrix.sum(axis=0) + self.matrix.sum(axis=1) - right)

    @property
    def mean_iou(self) -> float:
        """Mean of `ious` (mIoU) over the classes that are in the labels or predicted. nan without pixels."""
        return _mean(self.ious)

    @property
    def mean_accuracy(self) -> float:
        """Mean of `accuracies` over the classes of the labels. nan without pixels.

        A class that is predicted but is not in the labels is left out, as in the published code of the paper, because
        its accuracy is 0 / 0. Pixels that are predicted as this class lower the accuracies of their true classes.
        `mean_iou` counts such a class with 0.
        """
        return _mean(self.accuracies)

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean of `ious`, weighted by the number of labeled pixels of each class. nan without pixels."""
        counts = self.matrix.sum(axis=1)
        return _share(np.sum(np.where(counts > 0, self.ious, 0) * counts), counts.sum())


def boundary_f1(
    labels: np.ndarray, predictions: np.ndarray, classes: int, *, tolerance: float, ignore: int | None = 255
) -> np.ndarray:
    """Computes the BF score: how well the boundaries of each class agree in one image.

    Precision is the share of predicted boundary pixels that have a boundary pixel of the labels within `tolerance`.
    Recall is the share of boundary pixels of the labels that have a predicted boundary pixel within `tolerance`. Use
    `np.nanmean` for the average over images.

    Args:
        labels: Integers `(height, width)`, `ignore` or 0 to `classes` - 1.
        predictions: Integers `(height, width)`. Predictions at ignored pixels do not count.
        classes: Number K of classes.
        tolerance: Distance in pixels. The paper uses 0.75 % of the diagonal of the image.
        ignore: Label of the pixels that do not count and form no boundary. If None, all pixels count.

    Returns:
        `(K,)` harmonic means of precision and recall, one per class. The value is 0 for a class that is only in the
        labels or only in the predictions, and nan for a class without any boundary.

    Raises:
        UserError: If the shapes differ or are not (height, width).

    Example:
        >>> labels = np.zeros((8, 8), int)
        >>> labels[:, 4:] = 1
        >>> kv.metrics.boundary_f1(labels, labels, 2, tolerance=1).tolist()
        [1.0, 1.0]

    References:
        Csurka, Larlus and Perronnin 2013, What is a good evaluation measure for semantic segmentation?, section 3.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 2 or labels.shape != predictions.shape:
        raise checks.UserError(
            "predictions", expected="(H, W), as the labels", received=(labels.shape, predictions.shape)
        )
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
    """Finds the pixels of a mask that touch a pixel outside the mask at one of their four sides.

    The border of the image does not count as outside.

    Args:
        mask: `(height, width)` booleans.
        within: `(height, width)` booleans. Pixels with `within` False do not count as outside either. If None, all
            pixels count.

    Returns:
        `(height, width)` booleans.

    Example:
        >>> mask = np.zeros((3, 4), bool)
        >>> mask[:, :3] = True
        >>> np.flatnonzero(kv.metrics.boundary_pixels(mask)[0]).tolist()
        [2]
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
    """Counts the right pixels near the boundaries between labels, for one image.

    For the accuracy of a set, add the counts of all images, then divide.

    Args:
        labels: Integers `(height, width)`, `ignore` or class numbers.
        predictions: Integers `(height, width)`.
        widths: Distances in pixels. For each distance, the pixels that are closer to a boundary pixel count.
        ignore: Label of the pixels that do not count and form no boundary. If None, all pixels count.

    Returns:
        `(right, all)` numbers of pixels for each width. Both numbers are 0 in an image without a boundary.

    Example:
        >>> labels, predictions = np.array([[0, 0, 0, 1, 1]]), np.array([[0, 0, 1, 1, 1]])
        >>> kv.metrics.trimap_accuracy(labels, predictions, [1, 2])
        [(1, 2), (3, 4)]

    References:
        Kohli, Ladicky and Torr 2009, Robust higher order potentials for enforcing label consistency, section 5.
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
    """Returns the share of `these` pixels that have one of `those` pixels within `tolerance`."""
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
