"""Predicts each pixel from all feature maps of a backbone at its place, without joining the maps."""

from typing import Any

import keras
from keras import layers, ops

from kvision import checks
from kvision.layers.resize_like import ResizeLike
from kvision.ops.regions import regions
from kvision.ops.sizes import sizes

__all__ = ["Hypercolumns", "balanced"]


@keras.saving.register_keras_serializable(package="kvision")
class Hypercolumns(keras.layers.Layer):
    """A small network for each pixel on the hypercolumn: the values of all feature maps at this pixel.

    The network is a dense layer to `hidden` units, ReLU, and a dense layer to `outputs`. The hypercolumn of all pixels
    of a photograph needs gigabytes, so it never exists:

    - With `points` (in training), only the hypercolumns of these points are gathered, with bilinear interpolation.
    - Without `points`, each map goes through its own part of the first dense layer, which is a 1x1 convolution. Then
      the results are resized to the finest map and added. Resizing is linear, so this equals the convolution of the
      joined maps.

    Each map is divided by the root mean square of its values in this image, because maps of different depths differ in
    scale by a factor of ten and more. Larsson et al. divide by a constant of the training set. The scale of the image
    itself needs no pass over the training set, and is equal for both ways to call the layer.

    The layer is called with a list of maps `(batch, h, w, channels)`, the finest first, and perhaps `points`
    `(batch, n, 2)`: y and x as shares of height and width in [0, 1]. It returns float32 `(batch, h, w, outputs)` of the
    finest map, or `(batch, n, outputs)`.

    Args:
        hidden: Number of hidden units. The paper has 1024; fewer are enough for small backbones.
        outputs: Number of outputs for each pixel.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Raises:
        UserError: If a number is not positive.

    Example:
        >>> layer = kv.layers.Hypercolumns(hidden=8, outputs=2)
        >>> maps = [np.random.normal(size=(1, 16, 16, 4)), np.random.normal(size=(1, 8, 8, 6))]
        >>> layer(maps).shape, layer(maps, points=np.full((1, 5, 2), 0.5)).shape
        (TensorShape([1, 16, 16, 2]), TensorShape([1, 5, 2]))

    References:
        Hariharan et al. 2015, arXiv 1411.5752, section 4 (hypercolumns, and the sum of resized convolutions).
        Larsson, Maire and Shakhnarovich 2016, arXiv 1603.06668, sections 3 and 4.3 (points in training, balance).
    """

    def __init__(self, hidden: int, outputs: int, *, name: str = "hypercolumns", **kwargs):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        checks.positive({"hidden": hidden, "outputs": outputs})
        self.hidden, self.outputs = hidden, outputs
        self._project: list[Any] = []
        self._predict = layers.Dense(outputs, name="predict", dtype=self.dtype_policy)
        self._resize = ResizeLike(name="resize", dtype=self.dtype_policy)

    def build(self, maps_shape, points_shape=None):
        channels = [shape[-1] for shape in maps_shape]
        # One dense layer on all channels would start with this scale; so its parts start with it.
        start = keras.initializers.RandomNormal(stddev=(2 / sum(channels)) ** 0.5)
        for number, count in enumerate(channels):
            options = {"use_bias": number == 0, "kernel_initializer": start.clone(), "dtype": self.dtype_policy}
            layer = layers.Dense(self.hidden, name=f"project{number}", **options)
            layer.build((None, count))
            self._project.append(layer)
        self._predict.build((None, self.hidden))
        self.built = True

    def call(self, maps, points=None):
        return self.dense(maps) if points is None else self.at(maps, points)

    def dense(self, maps):
        """Returns the outputs of all pixels of the finest map, `(batch, h, w, outputs)`."""
        parts = [layer(balanced(one)) for layer, one in zip(self._project, maps, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + self._resize(part, parts[0])
        return self._predict(ops.relu(total))

    def at(self, maps, points):
        """Returns the outputs at points `(batch, n, 2)`: `(batch, n, outputs)`."""
        total = 0.0
        for layer, one in zip(self._project, maps, strict=True):
            _, height, width, channels = sizes(one)
            place = ops.cast(points, "float32") * ops.cast(ops.stack([height, width]), "float32")
            # A box without area around a point, whose one pixel is the value at the point.
            found = regions(balanced(one), ops.concatenate([place, place], -1), 1)
            total = total + layer(ops.reshape(found, (-1, ops.shape(points)[1], channels)))
        return self._predict(ops.relu(total))

    def compute_output_shape(self, maps_shape, points_shape=None):
        first = maps_shape[0][:3] if points_shape is None else points_shape[:2]
        return (*first, self.outputs)

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden, "outputs": self.outputs}


def balanced(x):
    """Divides a map `(batch, h, w, channels)` by the root mean square of its values in each image."""
    square = ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)
    return x * ops.rsqrt(square + 1e-6)
