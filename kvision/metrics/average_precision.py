"""Average precision of a detector, as Pascal VOC and COCO define it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kvision import checks
from kvision.objects import Objects
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

__all__ = ["COCO_IOUS", "METHODS", "AveragePrecision", "Matches", "average_precision", "claims", "match", "overlaps"]

METHODS = ("voc07", "voc10", "coco")
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
_MOST = 100  # number of detections that COCO counts per class and image


@dataclass(frozen=True)
class Matches:
    """All detections of one class, highest score first, and whether each of them has found an object.

    Attributes:
        scores: Scores of the detections `(n,)`.
        image: Number of the image of each detection `(n,)`.
        found: True for a detection of an object that no detection with a higher score has found `(n,)`.
        ignored: True for a detection of a difficult object, which counts neither as right nor as wrong `(n,)`.
        objects: Number of objects per image, without difficult objects `(images,)`.
    """

    scores: np.ndarray
    image: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray

    def curve(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Computes recall and precision after each detection.

        Args:
            weights: How often each image counts, `(images,)`, as in a bootstrap. If None, each image counts once.

        Returns:
            Recall and precision, `(n,)` each. Recall is NaN if there is no object.
        """
        each = np.ones(len(self.objects)) if weights is None else weights
        weight = each[self.image] * ~self.ignored
        right, all_of_them = np.cumsum(weight * self.found), np.cumsum(weight)
        total = float(each @ self.objects)
        recall = right / total if total else np.full(len(right), np.nan)
        return recall, right / np.maximum(all_of_them, 1e-12)

    def value(self, method: str, weights: np.ndarray | None = None) -> float:
        """Computes the average precision with `method`; see `average_precision`. It is NaN if there is no object."""
        each = np.ones(len(self.objects)) if weights is None else weights
        if not each @ self.objects:
            return float("nan")
        recall, precision = self.curve(weights)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]  # the highest precision at this or a higher recall
        if method == "voc10":
            return float(np.diff(recall, prepend=0.0) @ envelope)
        points = np.linspace(0, 1, 11 if method == "voc07" else 101)
        first = np.searchsorted(recall, points)
        return float(np.append(envelope, 0.0)[first].mean())


def match(
    found: Sequence[Objects], drawn: Sequence[Objects], label: int, *, iou: float = 0.5, method: str = "coco"
) -> Matches:
    """Decides which detections of a class are right, in the order of their scores, highest first.

    Pascal VOC compares a detection with the object that it overlaps most. A second detection of the same object is
    wrong. COCO ignores objects that a detection with a higher score has found, and compares a detection with the
    remaining object that it overlaps most.

    Args:
        found: Detections of each image.
        drawn: Objects of each image.
        label: The class.
        iou: Smallest intersection over union for a right detection.
        method: `"voc07"`, `"voc10"` or `"coco"`. COCO counts only the 100 detections with the highest scores per image.

    Returns:
        The detections of all images in the order of their scores.

    Raises:
        UserError: If `method` is unknown, or if `found` and `drawn` have different numbers of images.
    """
    return _tables(found, drawn, [label], [iou], method)[0][0]


def _tables(found, drawn, labels: Sequence[int], ious: Sequence[float], method: str) -> list[list[Matches]]:
    """Returns the matches of each class for each of `ious`. The boxes of an image are compared only once."""
    checks.one_of("method", method, METHODS)
    if len(found) != len(drawn):
        raise checks.UserError("found", expected=f"detections for {len(drawn)} images", received=len(found))
    tables = [overlaps(answer.boxes, truth.boxes) for answer, truth in zip(found, drawn, strict=True)]
    return [_matches(found, drawn, tables, label, ious, method) for label in labels]


def _matches(found, drawn, tables, label: int, ious: Sequence[float], method: str) -> list[Matches]:
    exclusive = method == "coco"
    objects, scores, image = np.zeros(len(drawn), int), [np.zeros(0)], [np.zeros(0, int)]
    flags: list[list[np.ndarray]] = [[np.zeros((2, 0), bool)] for _ in ious]  # right and ignored detections
    for number, (answer, truth, overlap) in enumerate(zip(found, drawn, tables, strict=True)):
        ours, theirs = np.flatnonzero(answer.labels == label), np.flatnonzero(truth.labels == label)
        sure = np.asarray(answer.scores)[ours]
        order = np.argsort(-sure, kind="stable")[: _MOST if exclusive else None]
        difficult = np.zeros(len(theirs), bool) if truth.difficult is None else np.asarray(truth.difficult)[theirs]
        objects[number] = np.sum(~difficult)
        scores.append(sure[order])
        image.append(np.full(len(order), number))
        for column, iou in zip(flags, ious, strict=True):
            column.append(claims(overlap[np.ix_(ours[order], theirs)], difficult, iou, exclusive=exclusive))
    every, of_image = np.concatenate(scores), np.concatenate(image)
    order = np.argsort(-every, kind="stable")
    pairs = [np.concatenate(column, axis=1)[:, order] for column in flags]
    return [Matches(every[order], of_image[order], *pair, objects) for pair in pairs]


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the intersection over union `(n, m)` of boxes `(n, 4)` and `(m, 4)`, or `(n, 5)` and `(m, 5)`."""
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)), "float32")
    return np.asarray((rotated_boxes if a.shape[1] == 5 else plain).iou(a, b))


def claims(overlap: np.ndarray, difficult: np.ndarray, iou: float, *, exclusive: bool) -> np.ndarray:
    """Returns `(2, n)` bool, highest score first: whether each detection is right, and whether it is ignored."""
    count = len(overlap)
    right, ignored, claimed = np.zeros(count, bool), np.zeros(count, bool), np.zeros(len(difficult), bool)
    for i in range(count if len(difficult) else 0):
        free = overlap[i] if not exclusive else np.where(claimed, -1.0, overlap[i])
        if exclusive and (free[~difficult] >= iou).any():  # COCO prefers an object that is not difficult
            free = np.where(difficult, -1.0, free)
        best = int(np.argmax(free))
        if free[best] < iou:
            continue
        ignored[i] = difficult[best]
        right[i] = not difficult[best] and not claimed[best]
        claimed[best] |= exclusive or not difficult[best]  # in VOC a difficult object may be found several times
    return np.stack([right, ignored])


@dataclass(frozen=True)
class AveragePrecision:
    """The average precision of a detector.

    Attributes:
        values: Average precision of each class at each intersection over union `(classes, ious)`. NaN for a class
            without objects.
        ious: The intersections over union.
        matches: Nested lists: `matches[label][i]` has the matches of class `label` at `ious[i]`.
        method: `"voc07"`, `"voc10"` or `"coco"`.
    """

    values: np.ndarray
    ious: tuple[float, ...]
    matches: tuple[tuple[Matches, ...], ...]
    method: str

    @property
    def mean(self) -> float:
        """The mean over classes with objects and over `ious`. NaN if there is no object."""
        return _mean(self.values)

    def at(self, iou: float) -> float:
        """Returns the mean over classes at `iou`, which must be one of `ious`."""
        return _mean(self.values[:, self.ious.index(iou)])

    def resampled(self, count: int = 1000, *, seed: int = 0) -> np.ndarray:
        """Draws images with replacement and computes the mean over classes for each of `ious`.

        The results of two detectors on the same images can be compared row by row.

        Args:
            count: Number of draws.
            seed: Seed of the draws.

        Returns:
            `(count, ious)` float64.
        """
        images = len(self.matches[0][0].objects)
        random, found = np.random.default_rng(seed), np.zeros((count, len(self.ious)))
        for row in found:
            weights = np.bincount(random.integers(0, images, images), minlength=images).astype(float)
            values = np.array([[m.value(self.method, weights) for m in of_class] for of_class in self.matches])
            row[:] = [_mean(column) for column in values.T]
        return found


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def average_precision(
    found: Sequence[Objects],
    drawn: Sequence[Objects],
    classes: int,
    *,
    ious: Sequence[float] = COCO_IOUS,
    method: str = "coco",
) -> AveragePrecision:
    """Computes the average precision of each class.

    Boxes are half-open. Pascal VOC's own program also counts the last pixel, so the overlap of boxes of whole pixels
    differs a little.

    Args:
        found: Detections of each image, with scores.
        drawn: Objects of each image.
        classes: Number of classes.
        ious: Smallest intersections over union for a right detection. Defaults to the values of COCO: .5, .55 ... .95.
        method: `"coco"` takes the mean precision at 101 recalls, `"voc07"` the mean precision at 11 recalls, and
            `"voc10"` the area under the curve. The precision at a recall is the highest precision at this or a higher
            recall.

    Returns:
        An `AveragePrecision` with the values, their means and resampled means.

    Raises:
        UserError: If `method` is unknown, or if `found` and `drawn` have different numbers of images.

    References:
        Everingham et al. 2010, doi 10.1007/s11263-009-0275-4, section 4.2; Lin et al. 2014, arXiv 1405.0312.

    Example:
        >>> from kvision.objects import Objects
        >>> drawn = [Objects(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([0]))]
        >>> found = [Objects(np.array([[0.0, 0.0, 10.0, 9.0]]), np.array([0]), np.array([0.8]))]
        >>> round(kv.metrics.average_precision(found, drawn, 1).mean, 2)
        0.9
    """
    table = tuple(map(tuple, _tables(found, drawn, range(classes), ious, method)))
    values = np.array([[matches.value(method) for matches in of_class] for of_class in table])
    return AveragePrecision(values, tuple(ious), table, method)
