"""The error at the hidden patches: the loss of MAE and SimMIM."""

from keras import ops

from kvision import checks

__all__ = ["masked_error"]


def masked_error(prediction, target, mask, *, power: int = 2):
    """Computes the mean error of the masked patches of each image.

    If all images have the same number of masked patches, the mean of the losses is the loss of the papers. If the
    prediction is 0, the loss is the mean square, or mean absolute value, of the masked targets.

    Args:
        prediction: `(batch, patches, values)` predicted values of each patch.
        target: `(batch, patches, values)` true values.
        mask: `(batch, patches)`, 1 where a patch was hidden and 0 elsewhere.
        power: 2 for the squared error of MAE, 1 for the absolute error of SimMIM.

    Returns:
        `(batch,)` losses, float32: the mean over the values of all masked patches of an image. The loss is 0 for an
        image without masked patches.

    Raises:
        UserError: If `power` is neither 1 nor 2.

    Example:
        >>> prediction, target = np.zeros((1, 2, 3)), np.ones((1, 2, 3))
        >>> float(kv.losses.masked_error(prediction, target, np.array([[1, 0]]))[0])
        1.0

    References:
        He et al. 2021, arXiv 2111.06377, section 3. Xie et al. 2021, arXiv 2111.09886, section 3.4.
    """
    if power not in (1, 2):
        raise checks.UserError("power", expected="1 or 2", received=power)
    difference = ops.cast(prediction, "float32") - ops.cast(target, "float32")
    error = ops.mean(ops.abs(difference) if power == 1 else ops.square(difference), axis=-1)
    mask = ops.cast(mask, "float32")
    return ops.sum(error * mask, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1.0)
