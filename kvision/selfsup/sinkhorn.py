"""Soft codes that use all prototypes alike."""

from keras import ops

from kvision import checks

__all__ = ["sinkhorn"]


def sinkhorn(scores, *, epsilon: float = 0.05, iterations: int = 3):
    """Balanced assignment by Sinkhorn-Knopp (Cuturi 2013, arXiv 1306.0895; as in SwAV: Caron et al. 2020, arXiv
    2006.09882, section 3.1 and its published code).

    scores: (B, K) cosines to K prototypes, of all replicas together. Returns codes (B, K) float32: rows sum to 1,
    columns to about B / K, nearer with more `iterations`. In the log domain: exp(1 / .05) is infinite in half
    precision. No gradient goes through. Raises UserError if epsilon <= 0 or iterations < 1.
    """
    checks.positive({"epsilon": epsilon})
    if iterations < 1:
        raise checks.error("iterations", expected="a count of at least 1", received=iterations)
    logs = ops.stop_gradient(ops.cast(scores, "float32")) / epsilon
    for _ in range(iterations):
        logs = logs - ops.logsumexp(logs, axis=0, keepdims=True)  # as much of each prototype ...
        logs = logs - ops.logsumexp(logs, axis=1, keepdims=True)  # ... and of each row, here 1
    return ops.exp(logs)
