"""SwAV's loss: predict the code of one view from the others."""

from collections.abc import Sequence

from keras import ops

from kvision import checks

__all__ = ["swapped_prediction"]


def swapped_prediction(codes: Sequence, scores: Sequence, *, temperature: float = 0.1):
    """Swapped prediction (Caron et al. 2020, arXiv 2006.09882, eq. 2; multi-crop: section 3.2).

    scores: of each view (B, K) cosines to the prototypes. codes: (B, K) rows that sum to 1, of the first
    `len(codes)` of these views; no gradient goes through them.
    Returns (B,) float32: the mean over codes t of the mean over the views v != t of -sum_k q_t ln softmax(s_v / T).
    Trivial value: ln K. Raises UserError if temperature <= 0, or there are fewer than two views, or more codes.
    """
    checks.positive({"temperature": temperature})
    if len(scores) < 2 or not 1 <= len(codes) <= len(scores):
        raise checks.error(
            "codes", expected="of one or more of at least two views", received=f"{len(codes)} of {len(scores)}"
        )
    predicted = [ops.log_softmax(ops.cast(score, "float32") / temperature, axis=-1) for score in scores]
    terms = []
    for t, code in enumerate(codes):
        code = ops.stop_gradient(ops.cast(code, "float32"))
        others = [-ops.sum(code * log, axis=-1) for v, log in enumerate(predicted) if v != t]
        terms.append(sum(others) / len(others))
    return sum(terms) / len(terms)
