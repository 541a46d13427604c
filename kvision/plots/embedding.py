"""What lies beside what in an embedding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from kvision import checks
from kvision.plots.names import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["embedding_map"]

_ROWS = 2000  # t-SNE of them takes about 6 s, and more points hide each other
_WIDTH = 50


def embedding_map(
    axes: "Axes", features: np.ndarray, labels: np.ndarray, class_names: Sequence[str], seed: int = 0
) -> "Axes":
    """Features in two dimensions, a color a class: PCA to 50, then t-SNE (van der Maaten & Hinton 2008).

    features: (N, D), N at least 3; of more than 2,000 rows a seeded sample is drawn. labels: (N,) int into class_names.
    Neighborhoods can be read off it; distances between groups, their sizes and the axes mean nothing.
    """
    features, labels = np.asarray(features, "float32"), np.asarray(labels).reshape(-1)
    if features.ndim != 2 or len(features) < 3 or len(labels) != len(features):
        received = f"features {features.shape}, labels {labels.shape}"
        raise checks.error("features", expected="(N, D) with N labels, N at least 3", received=received)
    if len(features) > _ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:_ROWS])
        features, labels = features[rows], labels[rows]
    if min(features.shape) > _WIDTH:
        features = PCA(_WIDTH, random_state=seed).fit_transform(features)
    # scikit-learn's perplexity, which must stay below the number of rows
    perplexity = min(30.0, (len(features) - 1) / 3)
    # its threads wait for each other spinning: 2,000 rows on 2 busy cores took 28 to 37 s with them, 6 s with one
    with threadpool_limits(1):
        places = TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(features)
    few = len(class_names) <= 20  # beyond, a legend is larger than the picture
    colors = np.arange(len(class_names)) / max(len(class_names) - 1, 1)
    handles = []
    for index in range(len(class_names)):
        x, y = places[labels == index].T
        handles.append(axes.scatter(x, y, s=6, color=_palette(few)(index if few else colors[index]), linewidths=0))
    if few:
        legend(axes, handles, class_names, markerscale=3, fontsize="small")
    axes.set(xticks=[], yticks=[], title=f"{len(places)} images by t-SNE")
    return axes


def _palette(few: bool):
    from matplotlib import colormaps

    return colormaps["tab20" if few else "hsv"]
