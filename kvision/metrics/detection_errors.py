"""Splits the errors of a detector by their kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kvision import checks
from kvision.metrics.average_precision import claims, overlaps
from kvision.objects import Objects

__all__ = ["OUTCOMES", "DetectionErrors", "detection_errors"]

OUTCOMES = ("right", "duplicate", "confusion", "localization", "both", "background")  # of a detection
_HIT, _NEAR = 0.5, 0.1  # intersections over union


@dataclass(frozen=True)
class DetectionErrors:
    """Number of detections by kind, and number of missed objects.

    Attributes:
        counts: `(classes,)` integers by name. The names are `"right"`, `"duplicate"`, `"confusion"`, `"localization"`,
            `"both"` and `"background"` for detections, by the class of the detection, and `"missed"` for objects, by
            the class of the object.
    """

    counts: dict[str, np.ndarray]

    @property
    def total(self) -> dict[str, int]:
        """The counts of all classes together, by name."""
        return {name: int(count.sum()) for name, count in self.counts.items()}


def detection_errors(
    found: Sequence[Objects], drawn: Sequence[Objects], classes: int, *, threshold: float = 0.5
) -> DetectionErrors:
    """Counts right detections, wrong detections by the kind of the error, and missed objects.

    In the order of the scores, highest first, each detection takes the object of its class that it overlaps most and
    that is still free. It is right if their intersection over union (IoU) is at least .5. A different detection belongs
    to the first kind that fits:

    - duplicate: IoU of at least .5 with an object of its class, which a different detection has taken;
    - confusion: IoU of at least .5 with an object of a different class;
    - localization: IoU of at least .1 with an object of its class;
    - both: IoU of at least .1 with an object of a different class, so that class and place are wrong;
    - background: a smaller IoU with all objects.

    An object is missed if no detection is right about it. Difficult objects are never missed, and detections that
    belong to a difficult object do not count.

    Args:
        found: Detections of each image, with scores.
        drawn: Objects of each image.
        classes: Number of classes.
        threshold: Detections with a lower score do not count. The default fits probabilities.

    Returns:
        The counts of each class and their totals.

    Raises:
        UserError: If `found` and `drawn` have different numbers of images.

    References:
        Hoiem et al. 2012, doi 10.1007/978-3-642-33712-3_25, section 3. The kinds are those of Bolya et al. 2020, arXiv
        2008.08115, section 2.2. Their program tests localization first, then confusion, then duplicates. It does not
        count an object as missed if a wrong detection belongs to it.

    Example:
        >>> from kvision.objects import Objects
        >>> drawn = [Objects(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([0]))]
        >>> boxes = np.array([[0.0, 0.0, 10.0, 9.0], [0.0, 5.0, 10.0, 15.0]])
        >>> found = [Objects(boxes, np.array([0, 0]), np.array([0.9, 0.8]))]
        >>> kv.metrics.detection_errors(found, drawn, 1).total["localization"]
        1
    """
    if len(found) != len(drawn):
        raise checks.UserError("found", expected=f"detections for {len(drawn)} images", received=len(found))
    table, missed = np.zeros((len(OUTCOMES), classes), int), np.zeros(classes, int)
    for answer, truth in zip(found, drawn, strict=True):
        scores = np.asarray(answer.scores)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= threshold]
        labels, theirs = np.asarray(answer.labels)[order], np.asarray(truth.labels)
        difficult = np.zeros(len(theirs), bool) if truth.difficult is None else np.asarray(truth.difficult)
        same = labels[:, None] == theirs[None]
        outcomes, counts = _outcomes(overlaps(answer.boxes[order], truth.boxes), same, difficult)
        np.add.at(table, (outcomes[counts], labels[counts]), 1)
        objects, right = theirs[~difficult], labels[outcomes == OUTCOMES.index("right")]
        missed += np.bincount(objects, minlength=classes) - np.bincount(right, minlength=classes)
    return DetectionErrors({**dict(zip(OUTCOMES, table, strict=True)), "missed": missed})


def _outcomes(overlap: np.ndarray, same: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the index of each detection's outcome in `OUTCOMES`, and whether the detection counts.

    Args:
        overlap: Intersections over union `(n, m)`, highest score first.
        same: Whether detection and object have the same class `(n, m)`.
        difficult: Whether an object is difficult `(m,)`.
    """
    sure = np.where(same & ~difficult, overlap, -1.0)
    right, _ = claims(sure, np.zeros(len(difficult), bool), _HIT, exclusive=True)
    (near, near_difficult), (other, other_difficult) = (_largest(overlap, mask, difficult) for mask in (same, ~same))
    conditions = [right, near >= _HIT, other >= _HIT, near >= _NEAR, other >= _NEAR]
    always, never = np.ones(len(right), bool), np.zeros(len(right), bool)
    outcomes = np.select([*conditions, always], range(len(OUTCOMES)))
    ignored = np.select(conditions, [never, near_difficult, other_difficult, near_difficult, other_difficult], never)
    return outcomes, ~ignored


def _largest(overlap: np.ndarray, mask: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each detection's largest overlap `(n,)` in the mask, and whether that object is difficult."""
    padded = np.pad(np.where(mask, overlap, 0.0), ((0, 0), (0, 1)))  # so that there is an object
    which = padded.argmax(axis=1)
    return padded.max(axis=1), np.append(difficult, False)[which]
