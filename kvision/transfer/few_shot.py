"""Compares classifiers on episodes with few images of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from threadpoolctl import threadpool_limits

from kvision import checks, heads
from kvision.progress import Bar
from kvision.transfer.episodes import Episode

__all__ = ["few_shot", "few_shot_methods"]

_CENTERED_FROM = 20  # support images; the mean of fewer images says little about the center of all images
_NEIGHBORS = 20  # of the weighted vote, as DINO recommends (Caron et al. 2021, arXiv 2104.14294)
# Of the standardized features, as in big_vision's few-shot evaluation: 2^10. Unit vectors have a length of 1 instead of
# the square root of the number of features, so that 1 is of the same order for them.
_STRENGTH, _UNIT_STRENGTH = 1024.0, 1.0


def few_shot_methods(*, ways: int, shots: int) -> dict[str, BaseEstimator]:
    """Returns the classifiers that `kvision fewshot` compares, not fitted.

    `kv.transfer.attach` and `kv.heads.from_sklearn` take each of them after `fit`. "Unit" features have the mean of the
    support images subtracted, if these are at least 20, and then unit length.

    Args:
        ways: Number of classes.
        shots: Number of images of each class.

    Returns:
        Classifiers by name:

        - `1nn`: the nearest neighbor of unit features. This is the baseline.
        - `knn`: a vote of as many neighbors as there are shots, unit features.
        - `weighted_knn`: up to 20 neighbors, weighted by exp(-cosine distance / 0.07).
        - `prototypes`: the nearest class mean.
        - `simpleshot`: the nearest class mean of unit features.
        - `ridge`: ridge regression on unit features.
        - `scaled_ridge`: ridge regression on standardized features.
        - `logistic`: logistic regression on unit features.

    Example:
        >>> sorted(kv.transfer.few_shot_methods(ways=5, shots=1))[:3]
        ['1nn', 'knn', 'logistic']

    References:
        Wang et al. 2019, arXiv 1911.04623 (SimpleShot); Snell et al. 2017, arXiv 1703.05175 (prototypes); Wu et al.
        2018, arXiv 1805.01978 (weighted vote); Tian et al. 2020, arXiv 2003.11539 (logistic regression).
    """
    checks.positive({"ways": ways, "shots": shots})
    rows = ways * shots
    centered = rows >= _CENTERED_FROM

    def unit(classifier) -> BaseEstimator:
        scalers = [StandardScaler(with_std=False)] if centered else []
        return make_pipeline(*scalers, Normalizer(), classifier)

    weighted = heads.KNNHead(min(_NEIGHBORS, rows), weights="exponential", metric="cosine")
    return {
        "1nn": unit(KNeighborsClassifier(1, algorithm="brute")),
        "knn": unit(KNeighborsClassifier(shots, algorithm="brute")),
        "weighted_knn": unit(weighted),
        "prototypes": heads.PrototypeHead(),
        "simpleshot": heads.PrototypeHead(centered=centered, normalized=True),
        "ridge": unit(RidgeClassifier(_UNIT_STRENGTH)),
        "scaled_ridge": make_pipeline(StandardScaler(), RidgeClassifier(_STRENGTH)),
        "logistic": unit(LogisticRegression(max_iter=1000)),
    }


def few_shot(
    features: np.ndarray,
    labels: np.ndarray,
    episodes: Sequence[Episode],
    methods: Mapping[str, BaseEstimator],
    *,
    support: np.ndarray | None = None,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Fits each method on the support images of each episode, and measures it on the queries.

    All methods see the same episodes. So the difference of two of them, episode by episode, has a small interval:
    `kv.metrics.mean_interval(found["ridge"] - found["1nn"])`.

    Args:
        features: Features of all images, `(n, width)`.
        labels: Labels of all images, `(n,)`.
        episodes: Episodes of `kv.transfer.episodes`.
        methods: Classifiers by name, not fitted, such as those of `few_shot_methods`.
        support: Other features of all images for the support images, `(n, width)`, such as those of
            `kv.features.averaged`. If None, `features`.
        progress: Shows a progress bar on standard error.

    Returns:
        The accuracy of each episode, `(episodes,)`, by the name of the method.

    Raises:
        UserError: If the numbers of rows differ.

    Example:
        >>> labels = np.repeat(np.arange(4), 10)
        >>> features = np.eye(4)[labels] + np.random.default_rng(0).normal(0, 0.1, (40, 4))
        >>> drawn = kv.transfer.episodes(labels, ways=3, shots=2, count=20)
        >>> found = kv.transfer.few_shot(features, labels, drawn, {"prototypes": kv.heads.PrototypeHead()})
        >>> float(found["prototypes"].mean())
        1.0
    """
    support = features if support is None else support
    if not len(features) == len(labels) == len(support):
        received = f"{len(features)} features, {len(labels)} labels, {len(support)} support features"
        raise checks.UserError("features, labels, support", expected="equal numbers of rows", received=received)
    found = {name: np.zeros(len(episodes)) for name in methods}
    # The matrices are so small that threads cost more than they save.
    with threadpool_limits(1, user_api="blas"), Bar(total=len(episodes), desc="episodes", disable=not progress) as bar:
        for number, episode in enumerate(episodes):
            x, y = support[episode.support], labels[episode.support]
            for name, method in methods.items():
                fitted: Any = clone(method)
                right = fitted.fit(x, y).predict(features[episode.queries]) == labels[episode.queries]
                found[name][number] = right.mean()
            bar.update()
    return found
