"""The mean logarithmic loss of probabilities."""

import numpy as np

__all__ = ["log_loss"]


def log_loss(probabilities: np.ndarray, labels: np.ndarray, *, smallest: float = 1e-7) -> float:
    """Returns the mean negative logarithm of the probabilities of the true classes.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.
        labels: `(n,)`, indices of the true classes.
        smallest: Probabilities below it count as this much: the vote of a KNN or a forest can be 0, and the loss of
            one image would be infinite.

    Returns:
        The loss in nats. It is 0 where every true class has probability 1.
    """
    of_truth = np.asarray(probabilities)[np.arange(len(labels)), labels]
    return float(0.0 - np.log(np.maximum(of_truth, smallest, dtype="float64")).mean())  # -0.0 is shown with its sign
