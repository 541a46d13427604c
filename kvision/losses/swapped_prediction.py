"""SwAV's loss: predict the code of one view from the remaining views."""

from collections.abc import Sequence

from keras import ops

from kvision import checks

__all__ = ["swapped_prediction"]


def swapped_prediction(codes: Sequence, scores: Sequence, *, temperature: float = 0.1):
    """Computes the cross entropy between the code of each view and the predictions from the remaining views.

    The loss is the mean over codes t of the mean over the views v != t of -sum_k code_tk ln softmax(score_v /
    temperature)_k. If all scores are equal, the loss is ln K.

    Args:
        codes: `(batch, K)` for each of the first `len(codes)` views. Each row sums to 1. No gradient passes through the
            codes.
        scores: `(batch, K)` cosines to the K prototypes, for each of at least two views.
        temperature: Positive number that the cosines are divided by. Defaults to 0.1, the value of the paper.

    Returns:
        `(batch,)` losses, float32.

    Raises:
        UserError: If `temperature` is not positive, there are fewer than two views, or there are more codes than views.

    Example:
        >>> code, score = np.array([[1.0, 0.0]]), np.zeros((1, 2))
        >>> loss = kv.losses.swapped_prediction([code, code], [score, score])
        >>> round(float(loss[0]), 4)  # ln 2
        0.6931

    References:
        Caron et al. 2020, arXiv 2006.09882, equation 2; multi-crop in section 3.2.
    """
    checks.positive({"temperature": temperature})
    if len(scores) < 2 or not 1 <= len(codes) <= len(scores):
        raise checks.UserError(
            "codes",
            expected="those of one or more of at least two views",
            received=f"{len(codes)} of {len(scores)} views",
        )
    predicted = [ops.log_softmax(ops.cast(score, "float32") / temperature, axis=-1) for score in scores]
    terms = []
    for t, code in enumerate(codes):
        code = ops.stop_gradient(ops.cast(code, "float32"))
        others = [-ops.sum(code * log, axis=-1) for v, log in enumerate(predicted) if v != t]
        terms.append(sum(others) / len(others))
    return sum(terms) / len(terms)
