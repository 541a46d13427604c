"""Spreads the colors of a user's hints to similar pixels."""

import math
from typing import Any

import keras
from keras import layers, ops

from kvision import checks
from kvision.layers.hypercolumns import balanced
from kvision.layers.resize_like import ResizeLike
from kvision.ops import chroma_bins
from kvision.ops.regions import regions
from kvision.ops.sizes import sizes

__all__ = ["HintAttention"]

_CELL = 4  # pixels; the known pixels of a square of this side are one hint
_MOST = 256  # number of cells that are used; if more are known, an even choice of them
_HINT = 25 / _CELL**2  # known pixels of a usual hint, in cells
# Where the training starts: the best of a few values for ten hints on photographs of streets and on CIFAR-10. Distances
# are in shares of the longer side, and brightness is in [0, 1].
_PLACE, _LUMA, _OWN = 0.15, 0.15, 0.03
_FEATURES = 0.25  # standard deviation of a learned feature at the start


@keras.saving.register_keras_serializable(package="kvision")
class HintAttention(keras.layers.Layer):
    """Mixes the predicted color of each pixel with the colors of hints at similar pixels.

    The weight of a hint is a Gaussian of its distance to the pixel in three spaces: the place, the brightness, and
    learned features of all maps of the backbone. The weight of the network's own prediction is a learned number. So
    without hints the prediction is unchanged. Pixels with a known color get this color.

    A network that gets hints only as further channels of its input has to learn to carry colors over long distances.
    It does not learn this from a few hundred pictures.

    The layer is called with these tensors, and returns the mixed predictions in the shape of `predicted`:

    - `predicted`: `(batch, h, w, c)` or, with `points`, `(batch, n, c)`: chroma scaled to [-1, 1], or scores of bins.
    - `gray`: `(batch, height, width, 1)` in [0, 255].
    - `hints`: `(batch, height, width, 3)`: scaled chroma, and 1 where it is known.
    - `maps`: a list of feature maps `(batch, h2, w2, channels)` for the similarity.
    - `points`: `(batch, n, 2)`: y and x as shares of the height and the width. Known colors are not copied there.

    Args:
        bins: Whether the predictions are scores of bins. Then the result is the logarithm of mixed probabilities.
        standard: The standard of the bins.
        features: Number of learned features.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Example:
        >>> layer = kv.layers.HintAttention()
        >>> predicted, gray, hints = np.zeros((1, 8, 8, 2)), np.full((1, 16, 16, 1), 90.0), np.zeros((1, 16, 16, 3))
        >>> hints[0, 3:5, 3:5] = (0.5, 0.0, 1.0)
        >>> found = layer(predicted, gray, hints, [np.zeros((1, 1, 1, 5))]).numpy()[0, ..., 0]
        >>> bool(found[1, 1] > found[7, 7] > 0)
        True

    References:
        Levin, Lischinski and Weiss 2004, "Colorization using optimization" (neighbors of similar brightness have
        similar colors). Vaswani et al. 2017, arXiv 1706.03762, section 3.2 (attention).
    """

    def __init__(
        self,
        *,
        bins: bool = False,
        standard: str = "bt601",
        features: int = 16,
        name: str = "hint_attention",
        **kwargs,
    ):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        checks.positive({"features": features})
        self.bins, self.standard, self.features = bins, standard, features
        self._centers = chroma_bins.centers(standard)
        self._project: list[Any] = []
        self._resize = ResizeLike(name="resize", dtype=self.dtype_policy)

    def build(self, predicted_shape, gray_shape, hints_shape, maps_shape, points_shape=None):
        def number(name: str, start: float):
            return self.add_weight(shape=(), initializer=keras.initializers.Constant(start), name=name)

        # Positive numbers are learned as logarithms.
        self._place = number("place", -math.log(_PLACE * math.sqrt(2)))
        self._luma = number("luma", -math.log(_LUMA * math.sqrt(2)))
        self._own = number("own", math.log(_OWN))
        # The learned features start with little influence, as random ones would make all pixels dissimilar.
        for place, shape in enumerate(maps_shape):
            spread = _FEATURES / math.sqrt(shape[-1] * len(maps_shape))
            start = keras.initializers.RandomNormal(stddev=spread)
            options = {"use_bias": False, "kernel_initializer": start, "dtype": self.dtype_policy}
            layer = layers.Dense(self.features, name=f"features{place}", **options)
            layer.build(shape)
            self._project.append(layer)
        self.built = True

    def call(self, predicted, gray, hints, maps, points=None):
        gray, hints = ops.cast(gray, "float32") / 255.0, ops.cast(hints, "float32")
        learned = [layer(balanced(one)) for layer, one in zip(self._project, maps, strict=True)]
        described = ops.concatenate([self._placed(gray), ops.exp(self._luma) * gray], -1)
        keys, colors, shares = self._cells(described, hints, learned)
        queries = self._queries(predicted, described, learned, points)
        # Minus the squared distances, without a tensor of all differences.
        scores = 2 * ops.matmul(queries, ops.transpose(keys, (0, 2, 1))) - ops.sum(queries**2, -1, keepdims=True)
        scores = scores - ops.sum(keys**2, -1)[:, None]
        scores = ops.where(shares[:, None] > 0, scores + ops.log(ops.maximum(shares, 1e-6) / _HINT)[:, None], -1e9)
        weights = ops.softmax(ops.concatenate([scores, ops.zeros_like(scores[..., :1]) + self._own], -1), axis=-1)
        rows = ops.reshape(predicted, (-1, ops.shape(queries)[1], predicted.shape[-1]))
        own = ops.softmax(rows, axis=-1) if self.bins else rows
        mixed = ops.matmul(weights[..., :-1], self._values(colors)) + weights[..., -1:] * own
        if points is None:
            known = self._resize(hints[..., 2:], predicted)
            given = self._resize(hints[..., :2] * hints[..., 2:], predicted) / ops.maximum(known, 1e-6)
            known, given = (ops.reshape(x, (-1, ops.shape(queries)[1], x.shape[-1])) for x in (known, given))
            mixed = known * self._values(given) + (1 - known) * mixed
        mixed = ops.log(ops.maximum(mixed, 1e-8)) if self.bins else mixed
        return ops.reshape(mixed, ops.shape(predicted))

    def _values(self, chroma):
        return chroma_bins.soft_labels(chroma, self._centers) if self.bins else chroma

    def _placed(self, gray):
        """Returns y and x of each pixel as shares of the longer side, `(batch, height, width, 2)`, scaled."""
        _, height, width, _ = sizes(gray)
        rows = (ops.cast(ops.arange(height), "float32") + 0.5)[None, :, None, None]
        columns = (ops.cast(ops.arange(width), "float32") + 0.5)[None, None, :, None]
        blank = ops.zeros_like(gray)
        scale = ops.exp(self._place) / ops.cast(ops.maximum(height, width), "float32")
        return ops.concatenate([blank + rows * scale, blank + columns * scale], -1)

    def _cells(self, described, hints, learned):
        """Returns keys, colors and known shares of the cells with the most known pixels, at most `_MOST` of them."""
        known = hints[..., 2:]
        planes = ops.concatenate([described * known, hints[..., :2] * known, known], -1)
        pooled = ops.average_pool(planes, _CELL, padding="same", data_format="channels_last")
        share = pooled[..., 5:]
        means = pooled[..., :5] / ops.maximum(share, 1e-6)
        deep = sum(self._resize(one, pooled) for one in learned)
        grid = ops.concatenate([means[..., :3], deep, means[..., 3:], share], -1)
        rows = ops.reshape(grid, (ops.shape(grid)[0], -1, grid.shape[-1]))
        rows = ops.pad(rows, [[0, 0], [0, _MOST], [0, 0]])  # so that there are enough of them
        # If too many cells are known, small differences make the choice even over the picture.
        number = ops.cast(ops.arange(ops.shape(rows)[1]), "float32")
        mixed = number * 0.618034 - ops.floor(number * 0.618034)  # the golden ratio spreads them
        chosen = ops.top_k(rows[..., -1] + 0.01 * mixed * ops.cast(rows[..., -1] > 0, "float32"), _MOST)[1]
        rows = ops.take_along_axis(rows, chosen[..., None], axis=1)
        return rows[..., :-3], rows[..., -3:-1], rows[..., -1]

    def _queries(self, predicted, described, learned, points):
        """Returns the descriptions of the predicted pixels or points, `(batch, n, 3 + features)`."""
        if points is None:
            deep = sum(self._resize(one, predicted) for one in learned)
            both = ops.concatenate([self._resize(described, predicted), deep], -1)
            return ops.reshape(both, (-1, ops.shape(both)[1] * ops.shape(both)[2], both.shape[-1]))
        found = []
        for one in (described, *learned):
            _, height, width, channels = sizes(one)
            place = ops.cast(points, "float32") * ops.cast(ops.stack([height, width]), "float32")
            sampled = regions(one, ops.concatenate([place, place], -1), 1)
            found.append(ops.reshape(sampled, (-1, ops.shape(points)[1], channels)))
        return ops.concatenate([found[0], sum(found[1:])], -1)

    def compute_output_shape(self, predicted_shape, *others, **shapes):
        return predicted_shape

    def compute_output_spec(self, predicted, *others, **tensors):
        return keras.KerasTensor(predicted.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "bins": self.bins, "standard": self.standard, "features": self.features}
