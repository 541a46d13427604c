"""The mean logarithmic loss of probabilities."""

import numpy as np

__all__ = ["log_loss"]


def log_loss(probabilities: np.ndarray, labels: np.ndarray, *, smallest: float = 1e-7) -> float:
    """Computes the mean negative logarithm of the probabilities of the true classes.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.
        labels: `(n,)` indices of the true classes.
        smallest: Lower limit of the probabilities. Smaller probabilities count as this value, because a KNN or a forest
            can give the probability 0, and the loss of one image would be infinite.

    Returns:
        The loss in nats. It is 0 if every true class has probability 1.

    Example:
        >>> round(kv.metrics.log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 4)
        0.4904
    """
    of_truth = np.asarray(probabilities)[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(of_truth, smallest, dtype="float64")).mean()
    return float(loss + 0.0)  # This turns -0.0 into 0.0, which is printed without a sign.
