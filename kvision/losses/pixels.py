"""Losses of a label per pixel: what to ignore, how to weigh classes, and how to count regions instead of pixels."""

import math
from collections.abc import Sequence

from keras import ops

from kvision import checks

__all__ = ["dice", "focal", "lovasz_softmax", "pixel_cross_entropy"]


_LEAST = 1e-7


def pixel_cross_entropy(labels, logits, *, class_weights: Sequence[float] | None = None, ignore: int | None = 255):
    """Cross entropy of each image's pixels.

    labels: (B, H, W) int, `ignore` (None: nothing) or 0 ... K - 1. logits: (B, H, W, K). class_weights: K numbers, such
    as the median of all classes' frequencies over a class's own (Eigen & Fergus 2015, arXiv 1411.4734, section 6.3.2).
    Returns (B,) float32: the mean over the pixels that are not ignored, weighted by their classes' weights; 0 where all
    are ignored; nan where a label is neither `ignore` nor 0 ... K - 1. Trivial value: log K.
    Raises UserError for shapes that do not belong together, and weights of another number or below 0.
    """
    return focal(labels, logits, gamma=0.0, class_weights=class_weights, ignore=ignore)


def focal(
    labels, logits, *, gamma: float = 2.0, class_weights: Sequence[float] | None = None, ignore: int | None = 255
):
    """Focal loss (Lin et al. 2017, arXiv 1708.02002, eq. 5) of softmax over K classes: (1 - p)^gamma times the cross
    entropy, p the probability of the pixel's class.

    Arguments, shapes and errors as `pixel_cross_entropy`'s, which is gamma 0; the paper's alpha, of two classes, are
    `class_weights` here. Returns (B,) float32. Trivial value: (1 - 1 / K)^gamma log K.
    """
    target, valid = _target(labels, logits, ignore)
    if not gamma >= 0:
        raise checks.error("gamma", expected="an exponent of at least 0", received=gamma)
    classes = logits.shape[-1]
    log_p = ops.sum(target * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)
    # at 0 the slope of a power below 1 has no end
    loss = -log_p * (1.0 if gamma == 0 else ops.maximum(-ops.expm1(log_p), _LEAST) ** gamma)
    weight = valid
    if class_weights is not None:
        if len(class_weights) != classes or not all(0 <= w < math.inf for w in class_weights):
            raise checks.error(
                "class_weights", expected=f"{classes} numbers of at least 0", received=list(class_weights)
            )
        weight = ops.sum(target * ops.convert_to_tensor(class_weights, "float32"), axis=-1)
    total = ops.sum(weight, axis=(1, 2))
    return ops.sum(loss * weight, axis=(1, 2)) / ops.where(total > 0, total, 1.0)


def dice(labels, logits, *, ignore: int | None = 255, smooth: float = 1.0):
    """Soft Dice loss without the squares of the paper: the mean over classes of 1 - (2 I + smooth) / (P + T + smooth).

    I is the sum of a class's probability over the pixels of the class, P its sum over all pixels, and T the number of
    pixels of the class. Ignored pixels do not count. The mean is over the classes that occur in the image: an absent
    class would be perfect where nothing of it is predicted, and its wrong predictions lower the other classes already.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: `(batch, height, width, K)`.
        ignore: Label of the pixels that do not count. If None, all pixels count.
        smooth: Number of at least 0 that is added to numerator and denominator.

    Returns:
        `(batch,)` losses, float32 in [0, 1]. The loss and its gradient are 0 for an image whose pixels are all ignored,
        with any `smooth`. The loss is nan for a label that is neither `ignore` nor 0 to K - 1.

    Raises:
        kvision.UserError: If the shapes do not fit, or `smooth` is negative or not finite.

    References:
        Milletari, Navab and Ahmadi 2016, arXiv 1606.04797, section 3.
    """
    if not 0 <= smooth < math.inf:
        raise checks.error("smooth", expected="a finite number of at least 0", received=smooth)
    target, valid = _target(labels, logits, ignore)
    p = ops.softmax(ops.cast(logits, "float32"), axis=-1) * valid[..., None]
    both, predicted, there = (ops.sum(x, axis=(1, 2)) for x in (p * target, p, target))
    # An absent class does not count. Its sums may all be 0, and 0 / 0 would reach every gradient.
    whole = ops.where(there == 0, 1.0, predicted + there)
    return _over_classes(1 - (2 * both + smooth) / (whole + smooth), there)


def lovasz_softmax(labels, logits, *, ignore: int | None = 255):
    """The Lovasz extension of 1 - IoU (Berman, Rannen Triki & Blaschko 2018, arXiv 1705.08790, eq. 8-12, algorithm 1),
    image by image, mean over the classes that occur in it.

    labels, logits, ignore and errors: as `pixel_cross_entropy`'s. Returns (B,) float32 in [0, 1]: with probabilities of
    0 and 1 it is 1 - IoU. It sorts the pixels of each class.
    """
    target, valid = _target(labels, logits, ignore)
    classes = logits.shape[-1]
    sizes = ops.shape(logits)
    rows = (sizes[0], sizes[1] * sizes[2], classes)
    p = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    # below 0, what is ignored comes last, where it changes nothing before it
    error = ops.where(valid[..., None] > 0, ops.abs(target - p), -1.0)
    error, target = ops.reshape(error, rows), ops.reshape(target, rows)
    order = ops.argsort(-error, axis=1)
    error, there = ops.take_along_axis(error, order, axis=1), ops.take_along_axis(target, order, axis=1)
    count = ops.sum(there, axis=1, keepdims=True)
    kept, union = count - ops.cumsum(there, axis=1), count + ops.cumsum(1 - there, axis=1)
    jaccard = 1 - kept / union
    step = ops.concatenate([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=1)
    return _over_classes(ops.sum(ops.relu(error) * step, axis=1), count[:, 0])


def _target(labels, logits, ignore: int | None):
    """One-hot labels (B, H, W, K), zeros where ignored; 1 where a pixel counts, (B, H, W), nan for no such label."""
    if len(logits.shape) != 4 or tuple(labels.shape) != tuple(logits.shape[:3]):
        raise checks.error(
            "labels", expected=f"(B, H, W) for logits (B, H, W, K) {tuple(logits.shape)}", received=tuple(labels.shape)
        )
    labels, classes = ops.cast(labels, "int32"), logits.shape[-1]
    known = ops.logical_and(labels >= 0, labels < classes)
    valid = ops.where(known, 1.0, float("nan"))
    if ignore is not None:
        valid = ops.where(labels == ignore, 0.0, valid)
    hot = ops.one_hot(ops.where(valid > 0, labels, 0), classes, dtype="float32")
    return hot * valid[..., None], valid


def _over_classes(values, count):
    """(B, K) -> (B,): the mean over the classes of which there is something."""
    there = ops.cast(count > 0, "float32")
    return ops.sum(values * there, axis=-1) / ops.maximum(ops.sum(there, axis=-1), 1.0)
