"""What pooling took, put back: on a bed of nails, or where the largest values stood."""

import keras

from kvision import checks, ops

__all__ = ["BedOfNails", "MaxUnpooling", "SwitchedMaxPooling"]


class _Unpooling(keras.layers.Layer):
    def __init__(self, factor: int = 2, *, name: str | None = None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(factor, int) or factor < 1:
            raise checks.error("factor", expected="a count of pixels, at least 1", received=factor)
        self.factor = factor
        self.built = True

    def get_config(self):
        return {
            "factor": self.factor,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    def _finer(self, shape):
        batch, *sides, channels = shape
        return (batch, *(None if side is None else side * self.factor for side in sides), channels)


@keras.saving.register_keras_serializable(package="kvision")
class BedOfNails(_Unpooling):
    """(B, h, w, C) -> (B, factor h, factor w, C): each value in the corner of its square, zeros elsewhere."""

    def call(self, features):
        none = keras.ops.zeros_like(features)
        places = range(self.factor)
        return ops.interleave([[none if i or j else features for j in places] for i in places])

    def compute_output_shape(self, input_shape):
        return self._finer(input_shape)


@keras.saving.register_keras_serializable(package="kvision")
class SwitchedMaxPooling(_Unpooling):
    """Max-pooling of squares that tells where each maximum stood, for `MaxUnpooling`.

    (B, H, W, C) -> values (B, h, w, C) and switches (B, h, w, C) int32: the place in the square, row after row, of
    equal ones the first. h = ceil(H / factor), w likewise: squares that stick out hold less. A switch counts within its
    square and not, as `tf.nn.max_pool_with_argmax`'s, over the batch: every backend, XLA and TFLite can do it.
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
    """Puts values where their maxima stood, zeros elsewhere (Zeiler & Fergus 2014, arXiv 1311.2901, section 2.1;
    SegNet, Badrinarayanan et al. 2017, arXiv 1511.00561).

    values (B, h, w, C), switches (B, h, w, C) of `SwitchedMaxPooling`, reference (B, H, W, ...) -> (B, H, W, C): the
    reference's size comes back, odd ones too. Raises UserError for a reference that was not pooled to (h, w), where its
    size is known.
    """

    def call(self, values, switches, reference):
        k = self.factor
        for coarse, side in zip(values.shape[1:3], reference.shape[1:3], strict=True):
            if coarse is not None and side is not None and -(-side // k) != coarse:
                raise checks.error(
                    "reference",
                    expected=f"what squares of {k} pixels make {tuple(values.shape[1:3])} of",
                    received=tuple(reference.shape),
                )
        none = keras.ops.zeros_like(values)
        found = ops.interleave(
            [[keras.ops.where(keras.ops.equal(switches, i * k + j), values, none) for j in range(k)] for i in range(k)]
        )
        _, height, width, *_ = ops.sizes(reference)
        return found[:, :height, :width]

    def compute_output_shape(self, values_shape, switches_shape, reference_shape):
        return (values_shape[0], *reference_shape[1:3], values_shape[-1])

    def compute_output_spec(self, values, switches, reference):
        return keras.KerasTensor(
            self.compute_output_shape(values.shape, switches.shape, reference.shape), self.compute_dtype
        )
