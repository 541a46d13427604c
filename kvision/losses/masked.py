"""The error at what was hidden: MAE's and SimMIM's loss."""

from keras import ops

from kvision import checks

__all__ = ["masked_error"]


def masked_error(prediction, target, mask, *, power: int = 2):
    """Mean error of masked patches alone.

    prediction, target: (B, L, P) values of L patches; mask: (B, L), 1 where a patch was hidden, 0 elsewhere.
    power: 2, squared error (MAE: He et al. 2021, arXiv 2111.06377, section 3), or 1, absolute (SimMIM: Xie et al.
    2021, arXiv 2111.09886, section 3.4). Returns (B,) float32: the mean over an image's masked patches and their
    values, 0 where nothing is masked. With equally many in each image the mean of these is the papers'.
    Trivial value: of a prediction of 0, the mean power of the masked targets.
    Raises UserError for another power.
    """
    if power not in (1, 2):
        raise checks.error("power", expected="1 or 2", received=power)
    difference = ops.cast(prediction, "float32") - ops.cast(target, "float32")
    error = ops.mean(ops.abs(difference) if power == 1 else ops.square(difference), axis=-1)
    mask = ops.cast(mask, "float32")
    return ops.sum(error * mask, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1.0)
