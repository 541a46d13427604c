"""Draws an embedding in two dimensions."""

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

_ROWS = 2000  # points; t-SNE takes about 6 s for this number, and more points hide each other
_WIDTH = 50  # width of the features for t-SNE, after PCA


def embedding_map(
    axes: "Axes", features: np.ndarray, labels: np.ndarray, class_names: Sequence[str], seed: int = 0
) -> "Axes":
    """Draws features in two dimensions by t-SNE, with a color for each class.

    The picture shows which images are neighbors. Distances between groups, the sizes of groups and the axes have no
    meaning.

    Args:
        axes: Where to draw.
        features: `(n, width)`, at least 3 rows. If there are more than 50 columns, PCA reduces them first. If there are
            more than 2,000 rows, a random sample of the rows is drawn.
        labels: `(n,)`, integers: indices into `class_names`.
        class_names: Names of the classes. If there are more than 20 classes, there is no legend.
        seed: Seed of the sample, of PCA and of t-SNE.

    Returns:
        `axes`.

    Raises:
        UserError: If there are fewer than 3 rows, or if the number of labels is not the number of rows.

    References:
        van der Maaten and Hinton 2008, Visualizing data using t-SNE, JMLR 9.
    """
    from matplotlib import colormaps

    features, labels = np.asarray(features, "float32"), np.asarray(labels).reshape(-1)
    if features.ndim != 2 or len(features) < 3 or len(labels) != len(features):
        received = f"features {features.shape}, labels {labels.shape}"
        raise checks.UserError("features", expected="(n, width) with n labels, n at least 3", received=received)
    if len(features) > _ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:_ROWS])
        features, labels = features[rows], labels[rows]
    if min(features.shape) > _WIDTH:
        features = PCA(_WIDTH, random_state=seed).fit_transform(features)
    # This is the default of scikit-learn, limited because the perplexity must be below the number of rows.
    perplexity = min(30.0, (len(features) - 1) / 3)
    # Threads that wait for each other keep the cores busy: 2,000 rows on 2 busy cores took 28 to 37 s. With one thread
    # they took 6 s.
    with threadpool_limits(1):
        places = TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(features)
    few = len(class_names) <= 20  # with more classes, the legend would be larger than the picture
    palette = colormaps["tab20" if few else "hsv"]
    handles = []
    for index in range(len(class_names)):
        x, y = places[labels == index].T
        color = palette(index if few else index / (len(class_names) - 1))
        handles.append(axes.scatter(x, y, s=6, color=color, linewidths=0))
    if few:
        legend(axes, handles, class_names, markerscale=3, fontsize="small")
    axes.set(xticks=[], yticks=[], title=f"{len(places)} images by t-SNE")
    return axes
