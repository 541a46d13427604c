"""SimCLR's loss: find the other view of the same image among all views of a batch."""

from keras import ops

from kvision import checks
from kvision.ops import unit

__all__ = ["nt_xent"]


def nt_xent(a, b, *, temperature: float = 0.1):
    """Normalized temperature-scaled cross entropy (Chen et al. 2020, arXiv 2002.05709, eq. 1).

    a, b: (N, D) float; row i of a and row i of b are a positive pair; need not be normalized.
    Returns (2N,) float32 per-example loss >= 0: of a's rows, then of b's. Their mean is the paper's loss; the official
    TF2 code, tensorflow_similarity and keras-cv give twice that, and twice its gradient: double a rate of SGD that is
    copied from there (Adam and LARS do not feel a factor).
    Trivial value: ln(2N - 1), of features that tell nothing, and of collapsed ones. N = 1 has no negatives: 0.
    Raises UserError if temperature <= 0 or the shapes differ.
    """
    checks.positive({"temperature": temperature})
    if len(a.shape) != 2 or tuple(a.shape[1:]) != tuple(b.shape[1:]) or a.shape[0] != b.shape[0]:
        raise checks.error("b", expected=f"the shape of `a`, (N, D): {tuple(a.shape)}", received=tuple(b.shape))
    z = unit(ops.concatenate([a, b], axis=0))
    count = ops.shape(z)[0]
    similarity = ops.matmul(z, ops.transpose(z)) / temperature
    others = ops.where(ops.eye(count, dtype="bool"), -float("inf"), similarity)
    partner = ops.roll(z, count // 2, axis=0)
    return ops.logsumexp(others, axis=-1) - ops.sum(z * partner, axis=-1) / temperature
