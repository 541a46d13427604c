"""SimCLR's loss: find the second view of the same image among all views of a batch."""

from keras import ops

from kvision import checks
from kvision.ops import unit

__all__ = ["nt_xent"]


def nt_xent(a, b, *, temperature: float = 0.1):
    """Computes the normalized temperature-scaled cross entropy of positive pairs.

    The mean of the losses is the loss of the paper. The official TF2 code, tensorflow_similarity and keras-cv compute
    twice this loss and twice its gradient. If you copy a learning rate of SGD from that code, double the learning rate.
    Adam and LARS are not affected.

    If all similarities are equal, or if the embeddings have collapsed, the loss is ln(2n - 1).

    Args:
        a: Embeddings `(n, width)`. They do not have to be normalized.
        b: Embeddings `(n, width)`. Row i of `a` and row i of `b` are a positive pair.
        temperature: Positive number that the cosine similarities are divided by. Defaults to 0.1, a value of the paper.

    Returns:
        `(2n,)` losses, float32, at least 0. The losses of the rows of `a` come first, then the losses of the rows of
        `b`. With n = 1 there are no negatives, and the loss is 0.

    Raises:
        UserError: If `temperature` is not positive, or the shapes differ.

    Example:
        >>> collapsed = np.ones((4, 2))
        >>> loss = kv.losses.nt_xent(collapsed, collapsed)
        >>> loss.shape[0], round(float(loss[0]), 4)  # ln 7
        (8, 1.9459)

    References:
        Chen et al. 2020, arXiv 2002.05709, equation 1.
    """
    checks.positive({"temperature": temperature})
    if len(a.shape) != 2 or tuple(a.shape[1:]) != tuple(b.shape[1:]) or a.shape[0] != b.shape[0]:
        raise checks.UserError("b", expected=f"the shape of `a`, (N, D): {tuple(a.shape)}", received=tuple(b.shape))
    z = unit(ops.concatenate([a, b], axis=0))
    count = ops.shape(z)[0]
    similarity = ops.matmul(z, ops.transpose(z)) / temperature
    others = ops.where(ops.eye(count, dtype="bool"), -float("inf"), similarity)
    partner = ops.roll(z, count // 2, axis=0)
    return ops.logsumexp(others, axis=-1) - ops.sum(z * partner, axis=-1) / temperature
