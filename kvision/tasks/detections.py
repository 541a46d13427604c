"""The rows of a detector: reads them from the outputs of exported files, checks and compares them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.export.task import Arrays
from kvision.objects import Objects

if TYPE_CHECKING:
    import keras

__all__ = ["above", "alike", "check", "factors", "missing", "read"]

_ROUNDING = 1e-3  # largest difference of equal scores
_OVERLAP, _PIXELS = 0.9, 0.01  # equal boxes overlap at least this much; empty boxes differ by at most this much
_LOW = 0.05  # a lower score may fall below the smallest score that a detector returns, by rounding
_LOST = 0.05  # share of the rows that may differ: in suppression, rounding may decide which of two boxes stays


def factors(columns: int, down: float, across: float) -> list[float]:
    """Returns what each of 4 or 5 columns of boxes is multiplied with if their image is resized.

    The sides of a rotated box get the geometric mean of both factors. So the angle does not change.

    Args:
        columns: 4 for axis-aligned boxes, 5 for rotated boxes.
        down: New height of the image as a multiple of its height, a number or a tensor.
        across: New width as a multiple of the width.

    Returns:
        `columns` factors.
    """
    if columns == 4:
        return [down, across, down, across]
    mean = (down * across) ** 0.5
    return [down, across, mean, mean, 1.0]


def read(outputs: Arrays, resized: tuple[float, float] = (1.0, 1.0)) -> Objects:
    """Reads the objects of one image.

    Args:
        outputs: `detections` `(limit, 6 or 7)`, or `boxes`, `scores` and `labels`.
        resized: The factors from the image of `detections` to the image of the result, for height and width.

    Returns:
        The objects in the order of their rows, without unused rows.

    Raises:
        UserError: If the outputs do not belong to a detector, or are not finite.
    """
    if np.ndim(rows := outputs.get("detections")) == 2:
        scale = factors(rows.shape[1] - 2, *resized)
        boxes, scores, labels = rows[:, :-2], rows[:, -2], rows[:, -1]
        boxes = boxes * np.array(scale, "float32") if len(scale) == boxes.shape[1] else boxes
    else:
        boxes, scores, labels = (np.asarray(outputs.get(name)) for name in ("boxes", "scores", "labels"))
    fits = boxes.ndim == 2 and boxes.shape[1] in (4, 5) and scores.shape == labels.shape == boxes.shape[:1]
    if not fits or not all(np.isfinite(values).all() for values in (boxes, scores, labels)):
        received = {name: np.shape(value) for name, value in outputs.items()}
        expected = "finite `detections` (rows, 6 or 7), or `boxes`, `scores` and `labels`"
        raise checks.UserError("outputs", expected=expected, received=received)
    used = labels >= 0
    return Objects(boxes[used], labels[used].astype("int32"), scores[used])


def above(objects: Objects, threshold: float) -> Objects:
    """Returns the objects with scores of at least `threshold`, highest score first."""
    scores = np.asarray(objects.scores)
    rows = np.argsort(-scores, kind="stable")
    rows = rows[scores[rows] >= threshold]
    return Objects(objects.boxes[rows], objects.labels[rows], scores[rows])


def check(model: "keras.Model", rows: np.ndarray, labels: Sequence[str] | None) -> None:
    """Checks that the output of a model for some images has the rows of a detector.

    Args:
        model: The model. Its name appears in the error.
        rows: Its output `(batch, limit, 6 or 7)`.
        labels: The class names, or None.

    Raises:
        UserError: If values are not finite, scores are not in [0, 1] or not in falling order, labels are not class
            indices, or unused rows are not zero.
    """
    scores, indices = rows[..., -2], rows[..., -1]
    unused = rows[indices == -1][:, :-1]
    count = np.inf if labels is None else len(labels)
    problems = {
        "has values that are not finite": not np.isfinite(rows).all(),
        "has scores outside of [0, 1]": scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING,
        "has scores that are not in falling order": (np.diff(scores, axis=1) > 0).any(),
        "has labels that are no class indices": (indices != indices.round()).any() or indices.min() < -1,
        "has labels without a class name": indices.max() >= count,
        "has unused rows whose box or score is not 0": unused.any(),
    }
    if problem := next((text for text, wrong in problems.items() if wrong), None):
        raise checks.UserError(
            "model",
            problem=f"'{model.name}' {problem}",
            expected="rows of box, score and label, highest score first, then rows of zeros with the label -1",
            received=rows[0, :2].tolist(),
        )


def alike(a: Objects, b: Objects) -> np.ndarray:
    """Returns which pairs have the same label and nearly the same box, `(n, m)` bool."""
    from kvision.metrics.average_precision import overlaps  # imports Keras, which `kvision predict` does not need

    near = np.abs(a.boxes[:, None] - b.boxes[None]).max(-1, initial=0) <= _PIXELS
    return (a.labels[:, None] == b.labels[None]) & (near | (overlaps(a.boxes, b.boxes) >= _OVERLAP))


def missing(a: Objects, b: Objects, limit: int) -> int:
    """Counts the objects of `a` that `b` does not have with nearly the same score.

    Rounding may drop an object with a score near 0. If all rows are used, it may also drop an object whose score equals
    the last score, and the order of equal scores may differ. A few rows may differ, because rounding may decide which
    of two overlapping boxes stays.

    Args:
        a: Objects, highest score first.
        b: Objects in any order.
        limit: Number of rows of the detector.

    Returns:
        The number of objects, or 0 if at most one in twenty is missing.
    """
    scores, others = np.asarray(a.scores), np.asarray(b.scores)
    last = scores[-1] if 1 < limit == len(scores) else 0.0
    sure = scores > max(_LOW, last + _ROUNDING)
    has = (alike(a, b) & (np.abs(scores[:, None] - others[None]) <= _ROUNDING)).any(1)
    lost = int((sure & ~has).sum())
    return lost if lost > _LOST * sure.sum() else 0
