"""Removes speckle: single pixels whose label differs from the labels of all neighbors."""

import functools

from keras import ops

__all__ = ["isolated", "part", "without_new_speckle"]

_SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def isolated(labels, *, corners: bool = False):
    """Finds the pixels whose neighbors all have a different label.

    Neighbors outside of the image count as different, so a map of one pixel is isolated.

    Args:
        labels: `(batch, height, width)` or `(batch, height, width, 1)` integers of at least 0.
        corners: Whether the neighbors at the corners count too, in addition to those at the four sides.

    Returns:
        Booleans in the shape of `labels`.

    Example:
        >>> np.asarray(kv.ops.isolated(np.array([[[0, 0, 1]]]))).tolist()
        [[[False, False, True]]]
    """
    return _alone(labels)[int(corners)]


def without_new_speckle(probabilities, before):
    """Gives pixels that became isolated the probabilities of their most certain neighbor.

    A dense CRF gives a pixel with an unusual color a label of its own, even in the middle of a region. Only a pixel
    that is isolated now and was not isolated before is changed, with four neighbors or with eight. It takes the
    probabilities of a neighbor that is not isolated itself. One pass may leave pixels for another pass: those whose
    four neighbors are all isolated, and those that touched a changed pixel at a corner.

    Args:
        probabilities: `(batch, height, width, classes)`, after a method such as a CRF.
        before: `(batch, height, width, classes)`, before this method.

    Returns:
        `(batch, height, width, classes)` probabilities.

    Example:
        >>> before = np.zeros((1, 3, 3, 2)) + (0.9, 0.1)
        >>> after = before.copy()
        >>> after[0, 1, 1] = 0.2, 0.8
        >>> np.asarray(kv.ops.without_new_speckle(after, before))[0, 1, 1].tolist()
        [0.9, 0.1]
    """
    alone, of_eight = _alone(_labels(probabilities))
    was_alone, was_of_eight = _alone(_labels(before))
    new = ops.logical_or(
        ops.logical_and(alone, ops.logical_not(was_alone)), ops.logical_and(of_eight, ops.logical_not(was_of_eight))
    )
    # A neighbor that is isolated, or outside of the image, has the certainty -1.
    highest = ops.max(probabilities, axis=-1, keepdims=True)
    certainty = ops.where(alone, -ops.ones_like(highest), highest)
    best, found = ops.zeros_like(certainty), probabilities
    for sure, other in zip(_around(certainty, -1, _SIDES), _around(probabilities, 0, _SIDES), strict=True):
        better = ops.greater(sure, best)
        found = ops.where(better, other, found)
        best = ops.where(better, sure, best)
    return ops.where(new, found, probabilities)


def part(step: int, border: int) -> slice:
    """Returns the part of a padded axis that holds the values `step` places further on.

    The slice has constant ends, so that it is one operation of a graph at every size.

    Args:
        step: From -border to border.
        border: Number of values that were added at each end of the axis.

    Returns:
        The slice, as long as the axis before it was padded.
    """
    return slice(border + step, step - border or None)


def _labels(probabilities):
    """Returns the int32 label of each pixel `(batch, height, width, 1)`.

    TFLite has no operation for an added axis of booleans, and none for what `keras.ops.argmax` does on TensorFlow.
    """
    return ops.top_k(probabilities, 1)[1]


def _alone(labels) -> tuple:
    """Returns two maps of booleans: whether all four and whether all eight neighbors have a different label."""
    differ = [ops.not_equal(labels, other) for other in _around(labels, -1, _SIDES + _CORNERS)]
    four = functools.reduce(ops.logical_and, differ[:4])
    return four, functools.reduce(ops.logical_and, differ[4:], four)


def _around(maps, outside: int, places) -> list:
    """Returns a map of each neighbor of the pixels."""
    rest = [[0, 0]] * (len(maps.shape) - 3)
    padded = ops.pad(maps, [[0, 0], [1, 1], [1, 1], *rest], constant_values=outside)
    return [padded[:, part(y, 1), part(x, 1)] for y, x in places]
