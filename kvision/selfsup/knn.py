"""The weighted nearest-neighbor vote by which encoders are compared without training anything."""

import numpy as np
from keras import ops

from kvision import checks
from kvision.selfsup.inputs import feature_rows, label_rows

__all__ = ["check_vote", "knn_accuracy", "knn_predict"]

_CELLS = 1 << 23  # similarities held at a time: 32 MiB


def knn_accuracy(
    bank: np.ndarray,
    labels: np.ndarray,
    features: np.ndarray,
    truth: np.ndarray,
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> float:
    """The share of `features` to which `knn_predict` gives their `truth` (M,) int, in [0, 1].

    The defaults are those of the CIFAR and Imagenette tables that methods are compared by (lightly); Wu et al. 2018
    and DINO take temperature .07, the latter k = 20: another k is another number, so say which.
    """
    found = knn_predict(bank, labels, features, k=k, temperature=temperature)
    return float((found == label_rows("truth", truth, len(found))).mean())


def knn_predict(
    bank: np.ndarray, labels: np.ndarray, features: np.ndarray, *, k: int = 200, temperature: float = 0.1
) -> np.ndarray:
    """Classes (M,) int32 of `features` by the k rows of `bank` of the highest cosine s, each of which votes for its
    label with weight exp(s / temperature) (Wu et al. 2018, arXiv 1805.01978, section 3.4).

    bank: (N, D) float, labels: (N,) int from 0, features: (M, D) float; need not be normalized, and a row of zeros is
    equally near to all. k: capped at N. Of equally near rows the one with the lower index votes, of classes with equal
    votes the lowest wins. Memory stays flat: similarities are made in blocks. Raises UserError for k < 1,
    temperature <= 0, shapes that do not fit and features that are not finite.
    """
    bank = feature_rows("bank", bank)
    labels = label_rows("labels", labels, len(bank))
    features = feature_rows("features", features, bank.shape[1])
    check_vote(k, temperature)
    k, classes = min(k, len(bank)), int(labels.max()) + 1
    rows = max(1, _CELLS // max(len(bank), classes))
    columns, owner = ops.transpose(ops.normalize(bank)), ops.convert_to_tensor(labels)
    found = []
    for start in range(0, len(features), rows):
        nearest = ops.top_k(ops.matmul(ops.normalize(features[start : start + rows]), columns), k)
        near, index = nearest[0], nearest[1]
        weight = ops.exp((near - near[:, :1]) / temperature)  # of the nearest 1: exp(1 / .01) is beyond float32
        cell = ops.take(owner, index, axis=0) + classes * ops.arange(len(near), dtype="int32")[:, None]
        votes = ops.segment_sum(ops.reshape(weight, (-1,)), ops.reshape(cell, (-1,)), num_segments=len(near) * classes)
        found.append(ops.argmax(ops.reshape(votes, (-1, classes)), axis=1))
    return np.concatenate([ops.convert_to_numpy(block) for block in found]).astype("int32")


def check_vote(k: int, temperature: float) -> None:
    """UserError for numbers that no vote can be held with."""
    if k < 1:
        raise checks.error("k", expected="a count of at least 1", received=k)
    if not temperature > 0:
        raise checks.error("temperature", expected="a number above 0", received=temperature)
