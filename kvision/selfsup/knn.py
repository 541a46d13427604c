"""The weighted vote of nearest neighbors, for comparing encoders without training a classifier."""

import numpy as np
from keras import ops

from kvision import checks
from kvision.selfsup.inputs import feature_rows, label_rows

__all__ = ["knn_accuracy", "knn_predict"]

_CELLS = 1 << 23  # Number of similarities in memory at the same time: 32 MiB.


def knn_accuracy(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    *,
    n_neighbors: int = 200,
    temperature: float = 0.1,
) -> float:
    """Computes the test accuracy of `knn_predict`.

    The defaults are those of the published CIFAR and Imagenette tables of lightly. Wu et al. 2018 and DINO use a
    temperature of 0.07, and DINO uses 20 neighbors. The accuracy depends on the number of neighbors and on the
    temperature, so report both with the accuracy.

    Args:
        train_features: Features `(n, features)`; they need not be normalized.
        train_labels: `(n,)` integers from 0.
        test_features: Features `(m, features)`.
        test_labels: `(m,)` integers from 0.
        n_neighbors: Number of neighbors that vote.
        temperature: Scale of the votes, see `knn_predict`.

    Returns:
        The share of test rows that are predicted correctly, in [0, 1].

    Raises:
        UserError: If the shapes do not fit, a feature is not finite, or `n_neighbors` or `temperature` is not positive.

    Example:
        >>> x, y = np.eye(4), np.arange(4)
        >>> kv.selfsup.knn_accuracy(x, y, x, y, n_neighbors=1)
        1.0
    """
    found = knn_predict(train_features, train_labels, test_features, n_neighbors=n_neighbors, temperature=temperature)
    return float((found == label_rows("test_labels", test_labels, len(found))).mean())


def knn_predict(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    *,
    n_neighbors: int = 200,
    temperature: float = 0.1,
) -> np.ndarray:
    """Predicts classes by a weighted vote of the nearest training rows.

    The neighbors of a row are the training rows with the highest cosine similarity s. Each one votes for its class with
    the weight exp(s / temperature). If training rows are equally near, the row with the lower index votes. If classes
    have equal votes, the lowest class wins. Similarities are computed in blocks, so the memory does not grow with the
    number of rows.

    Args:
        train_features: Features `(n, features)`; they need not be normalized. A row of zeros is equally near to all
            rows.
        train_labels: `(n,)` integers from 0.
        test_features: Features `(m, features)`.
        n_neighbors: Number of neighbors that vote. A number above n counts as n.
        temperature: Divides the similarities, a positive number. A small value gives near rows more weight.

    Returns:
        Classes `(m,)` int32.

    Raises:
        UserError: If the shapes do not fit, a feature is not finite, or `n_neighbors` or `temperature` is not positive.

    Example:
        >>> kv.selfsup.knn_predict(np.eye(2), np.array([5, 7]), np.array([[1.0, 0.2]]), n_neighbors=1).tolist()
        [5]

    References:
        Wu et al. 2018, arXiv 1805.01978, section 3.4.
    """
    bank = feature_rows("train_features", train_features)
    labels = label_rows("train_labels", train_labels, len(bank))
    features = feature_rows("test_features", test_features, bank.shape[1])
    checks.positive({"n_neighbors": n_neighbors, "temperature": temperature})
    count, classes = min(n_neighbors, len(bank)), int(labels.max()) + 1
    rows = max(1, _CELLS // max(len(bank), classes))
    columns, owner = ops.transpose(ops.normalize(bank)), ops.convert_to_tensor(labels)
    found = []
    for start in range(0, len(features), rows):
        nearest = ops.top_k(ops.matmul(ops.normalize(features[start : start + rows]), columns), count)
        near, index = nearest[0], nearest[1]
        # Weights are relative to the weight of the nearest row, because exp(1 / 0.01) overflows in float32.
        weight = ops.exp((near - near[:, :1]) / temperature)
        cell = ops.take(owner, index, axis=0) + classes * ops.arange(len(near), dtype="int32")[:, None]
        votes = ops.segment_sum(ops.reshape(weight, (-1,)), ops.reshape(cell, (-1,)), num_segments=len(near) * classes)
        found.append(ops.argmax(ops.reshape(votes, (-1, classes)), axis=1))
    return np.concatenate([ops.convert_to_numpy(block) for block in found]).astype("int32")
