"""Losses for segmentation. Some count single pixels, and some count the regions of each class."""

import math
from collections.abc import Sequence

from keras import ops

from kvision import checks

__all__ = ["dice", "focal", "lovasz_softmax", "pixel_cross_entropy"]


_LEAST = 1e-7


def pixel_cross_entropy(labels, logits, *, class_weights: Sequence[float] | None = None, ignore: int | None = 255):
    """Computes the mean cross entropy of the pixels of each image.

    If all logits are equal, the loss is ln K.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: `(batch, height, width, K)`.
        class_weights: K weights of the classes. For example, the weight of a class can be the median frequency of all
            classes divided by the frequency of this class. If None, all classes have the weight 1.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch,)` losses, float32: the weighted mean over the pixels that count. The loss is 0 if all pixels of an
        image are ignored, and nan if a label is neither `ignore` nor 0 to K - 1.

    Raises:
        UserError: If the shapes do not fit, or `class_weights` are not K numbers of at least 0.

    Example:
        >>> labels, logits = np.zeros((1, 2, 2), "int32"), np.zeros((1, 2, 2, 4))
        >>> round(float(kv.losses.pixel_cross_entropy(labels, logits)[0]), 4)  # ln 4
        1.3863

    References:
        The weights: Eigen and Fergus 2015, arXiv 1411.4734, section 6.3.2.
    """
    return focal(labels, logits, gamma=0.0, class_weights=class_weights, ignore=ignore)


def focal(
    labels, logits, *, gamma: float = 2.0, class_weights: Sequence[float] | None = None, ignore: int | None = 255
):
    """Computes the focal loss of softmax over K classes: the cross entropy of a pixel times (1 - p)^gamma.

    p is the probability of the true class of the pixel. Pixels that are already right therefore count less. If all
    logits are equal, the loss is (1 - 1 / K)^gamma ln K.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: `(batch, height, width, K)`.
        gamma: Exponent of at least 0. Defaults to 2, the value of the paper. With 0 the loss is `pixel_cross_entropy`.
        class_weights: K weights of the classes, called alpha in the paper. If None, all classes have the weight 1.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch,)` losses, float32, with the same special cases as `pixel_cross_entropy`.

    Raises:
        UserError: If the shapes do not fit, `gamma` is negative, or `class_weights` are not K numbers of at least 0.

    Example:
        >>> labels, logits = np.zeros((1, 2, 2), "int32"), np.zeros((1, 2, 2, 2))
        >>> round(float(kv.losses.focal(labels, logits)[0]), 4)  # ln 2 / 4
        0.1733

    References:
        Lin et al. 2017, arXiv 1708.02002, equation 5.
    """
    target, valid = _target(labels, logits, ignore)
    if not gamma >= 0:
        raise checks.UserError("gamma", expected="an exponent of at least 0", received=gamma)
    classes = logits.shape[-1]
    log_p = ops.sum(target * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)
    # The derivative of a power below 1 is infinite at 0.
    loss = -log_p * (1.0 if gamma == 0 else ops.maximum(-ops.expm1(log_p), _LEAST) ** gamma)
    weight = valid
    if class_weights is not None:
        if len(class_weights) != classes or not all(0 <= w < math.inf for w in class_weights):
            raise checks.UserError(
                "class_weights", expected=f"{classes} numbers of at least 0", received=list(class_weights)
            )
        weight = ops.sum(target * ops.convert_to_tensor(class_weights, "float32"), axis=-1)
    total = ops.sum(weight, axis=(1, 2))
    return ops.sum(loss * weight, axis=(1, 2)) / ops.where(total > 0, total, 1.0)


def dice(labels, logits, *, ignore: int | None = 255, smooth: float = 1.0):
    """Computes the soft Dice loss: the mean over classes of 1 - (2 I + smooth) / (P + T + smooth).

    I is the sum of the probability of a class over the pixels of this class, P is the sum over all pixels, and T is the
    number of pixels of the class. The squares in the formula of the paper are left out. Ignored pixels do not count.
    The mean is only over the classes that occur in the image. An absent class would have a perfect value if it is not
    predicted, and wrong predictions of it already lower the values of the classes that occur.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: `(batch, height, width, K)`.
        ignore: Label of the pixels that do not count. If None, all pixels count.
        smooth: Number of at least 0. It is added to numerator and denominator.

    Returns:
        `(batch,)` losses, float32 in [0, 1]. If all pixels of an image are ignored, the loss and its gradient are 0,
        for any `smooth`. The loss is nan if a label is neither `ignore` nor 0 to K - 1.

    Raises:
        UserError: If the shapes do not fit, or `smooth` is negative or not finite.

    Example:
        >>> labels, right = np.array([[[0, 1]]]), np.array([[[[9.0, -9.0], [-9.0, 9.0]]]])
        >>> round(float(kv.losses.dice(labels, right)[0]), 4)
        0.0

    References:
        Milletari, Navab and Ahmadi 2016, arXiv 1606.04797, section 3.
    """
    if not 0 <= smooth < math.inf:
        raise checks.UserError("smooth", expected="a finite number of at least 0", received=smooth)
    target, valid = _target(labels, logits, ignore)
    p = ops.softmax(ops.cast(logits, "float32"), axis=-1) * valid[..., None]
    both, predicted, there = (ops.sum(x, axis=(1, 2)) for x in (p * target, p, target))
    # An absent class does not count. All its sums may be 0, and a 0 / 0 would make every gradient NaN.
    whole = ops.where(there == 0, 1.0, predicted + there)
    return _over_classes(1 - (2 * both + smooth) / (whole + smooth), there)


def lovasz_softmax(labels, logits, *, ignore: int | None = 255):
    """Computes the Lovasz extension of 1 - IoU for each image, as the mean over the classes in the image.

    The function sorts the pixels of each class.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: `(batch, height, width, K)`.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch,)` losses, float32 in [0, 1]. If all probabilities are 0 or 1, the loss is 1 - IoU. The loss is 0 if all
        pixels of an image are ignored, and nan if a label is neither `ignore` nor 0 to K - 1.

    Raises:
        UserError: If the shapes do not fit.

    Example:
        >>> labels, wrong = np.array([[[0, 1]]]), np.array([[[[-99.0, 99.0], [99.0, -99.0]]]])
        >>> float(kv.losses.lovasz_softmax(labels, wrong)[0])
        1.0

    References:
        Berman, Rannen Triki and Blaschko 2018, arXiv 1705.08790, equations 8 to 12, algorithm 1.
    """
    target, valid = _target(labels, logits, ignore)
    classes = logits.shape[-1]
    sizes = ops.shape(logits)
    rows = (sizes[0], sizes[1] * sizes[2], classes)
    p = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    # Ignored pixels get -1. So they are sorted to the end and change nothing.
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
    """Returns one-hot labels (B, H, W, K), and (B, H, W) with 1 for valid, 0 for ignored, nan for invalid pixels."""
    if len(logits.shape) != 4 or tuple(labels.shape) != tuple(logits.shape[:3]):
        raise checks.UserError(
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
    """Returns the mean (B,) of values (B, K) over the classes that occur."""
    there = ops.cast(count > 0, "float32")
    return ops.sum(values * there, axis=-1) / ops.maximum(ops.sum(there, axis=-1), 1.0)
