"""The Sinkhorn-Knopp algorithm, which SwAV uses to assign images to prototypes."""

from keras import ops

from kvision import checks

__all__ = ["sinkhorn"]


def sinkhorn(scores, *, epsilon: float = 0.05, iterations: int = 3):
    """Assigns samples to prototypes so that all prototypes are used equally.

    The computation runs in the log domain, because exp(1 / 0.05) overflows in half precision. No gradient flows
    through the result.

    Args:
        scores: Cosines `(batch, prototypes)`, of the batches of all replicas together.
        epsilon: Strength of the entropy term. A smaller value gives sharper codes. The default is from the paper.
        iterations: Number of normalizations of columns and rows. More iterations make the use of the prototypes more
            equal. The default is from the paper.

    Returns:
        Codes `(batch, prototypes)` float32. Each row sums to 1, each column to about `batch / prototypes`.

    Raises:
        UserError: If `epsilon` or `iterations` is not positive.

    Example:
        >>> codes = kv.selfsup.sinkhorn(np.eye(4, 2))
        >>> np.asarray(codes).sum(axis=1).round(3).tolist()
        [1.0, 1.0, 1.0, 1.0]

    References:
        Cuturi 2013, arXiv 1306.0895. Caron et al. 2020, arXiv 2006.09882, section 3.1 and the published code.
    """
    checks.positive({"epsilon": epsilon, "iterations": iterations})
    logs = ops.stop_gradient(ops.cast(scores, "float32")) / epsilon
    for _ in range(iterations):
        logs = logs - ops.logsumexp(logs, axis=0, keepdims=True)  # the same total for each prototype
        logs = logs - ops.logsumexp(logs, axis=1, keepdims=True)  # a total of 1 for each row
    return ops.exp(logs)
