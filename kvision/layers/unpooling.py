"""Unpooling: enlarges maps by placing each value at one pixel of a square and zeros at all other pixels."""

import keras

from kvision import checks, ops

__all__ = ["BedOfNails", "MaxUnpooling", "SwitchedMaxPooling"]


class _Unpooling(keras.layers.Layer):
    def __init__(self, factor: int = 2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise checks.UserError("factor", expected="a count of pixels, at least 1", received=factor)
        self.factor = factor
        self.built = True

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

    def _finer(self, shape):
        batch, *sides, channels = shape
        return (batch, *(None if side is None else side * self.factor for side in sides), channels)


@keras.saving.register_keras_serializable(package="kvision")
class BedOfNails(_Unpooling):
    """Enlarges maps by placing each value in the upper left corner of a square and zeros elsewhere.

    The layer maps `(batch, h, w, channels)` to `(batch, factor * h, factor * w, channels)`.

    Args:
        factor: Height and width of the square in pixels, at least 1.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If `factor` is below 1.

    Example:
        >>> features = np.array([3.0, 4.0]).reshape(1, 1, 2, 1)
        >>> np.asarray(kv.layers.BedOfNails(2)(features))[0, :, :, 0].tolist()
        [[3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """

    def call(self, features):
        none = keras.ops.zeros_like(features)
        places = range(self.factor)
        return ops.interleave([[none if i or j else features for j in places] for i in places])

    def compute_output_shape(self, input_shape):
        return self._finer(input_shape)


@keras.saving.register_keras_serializable(package="kvision")
class SwitchedMaxPooling(_Unpooling):
    """Max-pools squares and also returns where each maximum was, for `MaxUnpooling`.

    The layer maps `(batch, height, width, channels)` to values and switches, both of shape `(batch, h, w, channels)`
    with h = ceil(height / factor) and w = ceil(width / factor). A switch is the int32 index of the maximum in its
    square, row by row. If several pixels are equal, the first one counts. The indices of `tf.nn.max_pool_with_argmax`
    count over the whole map instead. Unlike those indices, switches work on every backend, in XLA and in TFLite.

    Args:
        factor: Height and width of the squares in pixels, at least 1.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If `factor` is below 1.

    Example:
        >>> maps = np.array([[1.0, 2.0], [4.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> values, switches = kv.layers.SwitchedMaxPooling(2)(maps)
        >>> float(values[0, 0, 0, 0]), int(switches[0, 0, 0, 0])
        (4.0, 2)
    """

    def call(self, features):
        features = keras.ops.cast(features, self.compute_dtype)
        _, height, width, _ = ops.sizes(features)
        k = self.factor
        padded = keras.ops.pad(features, [[0, 0], [0, k - 1], [0, k - 1], [0, 0]], constant_values=float("-inf"))
        h, w = (height + k - 1) // k, (width + k - 1) // k
        places = [padded[:, i::k, j::k][:, :h, :w] for i in range(k) for j in range(k)]
        values, switches = places[0], keras.ops.zeros_like(places[0], "int32")
        for place, found in enumerate(places[1:], start=1):
            larger = found > values
            values = keras.ops.where(larger, found, values)
            switches = keras.ops.where(larger, keras.ops.cast(place, "int32"), switches)
        return values, switches

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        shape = (batch, *(None if side is None else -(-side // self.factor) for side in sides), channels)
        return shape, shape

    def compute_output_spec(self, features):
        shape, _ = self.compute_output_shape(features.shape)
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, "int32")


@keras.saving.register_keras_serializable(package="kvision")
class MaxUnpooling(_Unpooling):
    """Enlarges maps by placing each value where the maximum of its square was, and zeros elsewhere.

    The layer is called with values and switches `(batch, h, w, channels)` and a reference
    `(batch, height, width, ...)`, and returns `(batch, height, width, channels)`. The switches come from
    `SwitchedMaxPooling` of the reference, or of maps with the size of the reference.

    Args:
        factor: Height and width of the squares in pixels, as in `SwitchedMaxPooling`.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If `factor` is below 1. When called, if pooling does not reduce the size of the reference to
            the size of the values.

    Example:
        >>> maps = np.array([[1.0, 2.0], [4.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> values, switches = kv.layers.SwitchedMaxPooling(2)(maps)
        >>> np.asarray(kv.layers.MaxUnpooling(2)(values, switches, maps))[0, :, :, 0].tolist()
        [[0.0, 0.0], [4.0, 0.0]]

    References:
        Zeiler and Fergus 2014, arXiv 1311.2901, section 2.1. Badrinarayanan et al. 2017, arXiv 1511.00561 (SegNet).
    """

    def call(self, values, switches, reference):
        k = self.factor
        for coarse, side in zip(values.shape[1:3], reference.shape[1:3], strict=True):
            if coarse is not None and side is not None and -(-side // k) != coarse:
                expected = f"a size that pooling by {k} reduces to {tuple(values.shape[1:3])}"
                raise checks.UserError("reference", expected=expected, received=tuple(reference.shape))
        none = keras.ops.zeros_like(values)
        found = ops.interleave(
            [[keras.ops.where(keras.ops.equal(switches, i * k + j), values, none) for j in range(k)] for i in range(k)]
        )
        _, height, width, *_ = ops.sizes(reference)
        return found[:, :height, :width]

    def compute_output_shape(self, values_shape, switches_shape, reference_shape):
        return (values_shape[0], *reference_shape[1:3], values_shape[-1])
