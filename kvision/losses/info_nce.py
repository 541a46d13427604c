"""MoCo's loss: find the key of the same image among keys of others."""

from keras import ops

from kvision import checks

__all__ = ["info_nce"]


def info_nce(positive, negatives, *, temperature: float = 0.07):
    """InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, eq. 4; He et al. 2020, arXiv 1911.05722, eq. 1).

    positive: (B,) similarity to the right key; negatives: (B, K) to the others; cosines, not yet divided by
    `temperature`. Returns (B,) float32 per-example loss >= 0.
    Trivial value: ln(K + 1); of random unit vectors of width D it is higher, by about 1 / (2 D temperature^2).
    Raises UserError if temperature <= 0.
    """
    checks.positive({"temperature": temperature})
    positive, negatives = (ops.cast(x, "float32") / temperature for x in (positive, negatives))
    return ops.logsumexp(ops.concatenate([positive[:, None], negatives], axis=-1), axis=-1) - positive
