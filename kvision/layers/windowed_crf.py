"""A CRF that connects each pixel with a window around it, as a layer."""

from collections.abc import Mapping

import keras
from keras import ops

from kvision import checks
from kvision.crf_parameters import CRFParameters
from kvision.ops import sizes, without_new_speckle
from kvision.ops.speckle import part

__all__ = ["WindowedCRF"]

_SMALLEST = 1e-8  # probability; as in kvision.segmentation.crf.mean_field
_PASSES = 2  # against speckle
_OUTSIDE = 1e9  # color of the pixels outside of the image, which differs so much that their weight is 0
_TRAINED = ("bilateral_weight", "bilateral_distance", "bilateral_color", "spatial_weight", "spatial_distance")


@keras.saving.register_keras_serializable(package="kvision")
class WindowedCRF(keras.layers.Layer):
    """Sharpens the probabilities of pixels by the colors of the image, within a window around each pixel.

    The layer is the form of `kv.segmentation.dense_crf` that runs inside a model: in training, in a SavedModel and in a
    TFLite model, at sizes that are known only when the graph runs. It is called with probabilities
    `(batch, height, width, classes)` and the image `(batch, height, width, 3)` in [0, 255], and returns probabilities
    in float32. The five parameters of the kernels are trainable weights.

    The bilateral kernel reaches `dilation * (size - 1) / 2` pixels in each direction, at each `dilation`-th pixel. The
    spatial kernel reaches `(size - 1) / 2` pixels, at each pixel. Each kernel is normalized over its window. A kernel
    with a larger distance than the window is cut off, so that the result differs from the full-range form.

    Args:
        parameters: Initial values, a `kv.segmentation.CRFParameters` or a dictionary of its fields. If None, the
            defaults.
        size: Height and width of the window in pixels of the window's own grid, an odd number of at least 3. The
            default is from the paper.
        dilation: Distance between the pixels of the bilateral window.
        from_logits: Whether the layer gets logits instead of probabilities.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If the size or the dilation is not valid, or a parameter is not valid.

    Example:
        >>> probabilities, image = np.full((1, 20, 30, 4), 0.25), np.zeros((1, 20, 30, 3))
        >>> tuple(kv.layers.WindowedCRF()(probabilities, image).shape)
        (1, 20, 30, 4)

    References:
        Teichmann and Cipolla 2018, arXiv 1805.04777 (convolutional CRF). Krähenbühl and Koltun 2011, arXiv 1210.5644.
    """

    def __init__(
        self,
        parameters: CRFParameters | Mapping | None = None,
        *,
        size: int = 7,
        dilation: int = 4,
        from_logits: bool = False,
        **kwargs,
    ):
        # Differences of colors and sums over windows need float32 under mixed precision too.
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(size, int) or size < 3 or size % 2 == 0:
            raise checks.UserError("size", expected="an odd number of pixels of at least 3", received=size)
        if not isinstance(dilation, int) or dilation < 1:
            raise checks.UserError("dilation", expected="a number of pixels of at least 1", received=dilation)
        if not isinstance(parameters, CRFParameters):
            parameters = CRFParameters(**(parameters or {}))
        self.parameters, self.size, self.dilation, self.from_logits = parameters, size, dilation, from_logits
        self._values = {
            name: self.add_weight(
                shape=(), initializer=keras.initializers.Constant(getattr(parameters, name)), name=name
            )
            for name in _TRAINED
        }
        self.built = True

    def call(self, probabilities, image):
        given = ops.cast(probabilities, "float32")
        before = ops.softmax(given, axis=-1) if self.from_logits else given
        logits = given if self.from_logits else ops.log(ops.maximum(given, _SMALLEST))
        pairs, far, (down, across) = self._bilateral(ops.cast(image, "float32")), *self._spatial(image)

        def update(_, found):
            message = self._values["bilateral_weight"] * self._sum(found, pairs)
            near = _along(_along(found, down, 1), across, 2) - far * found
            return ops.softmax(logits + message + self._values["spatial_weight"] * near, axis=-1)

        # An unrolled loop would make the graph ten times larger, and its export slow.
        found = ops.fori_loop(0, self.parameters.iterations, update, ops.softmax(logits, axis=-1))
        for _ in range(_PASSES):
            found = without_new_speckle(found, before)
        return found

    def _bilateral(self, image) -> list:
        """Returns the normalized weight `(batch, height, width, 1)` of each neighbor of the window, without the center.

        Neighbors outside of the image have the weight 0.
        """
        _, height, width, _ = sizes(image)
        distance = self._values["bilateral_distance"] * _diagonal(height, width)
        of_space, of_color = (-0.5 / ops.square(each) for each in (distance, self._values["bilateral_color"]))
        weights = []
        for (y, x), other in zip(self._offsets(), self._moved(image, _OUTSIDE), strict=True):
            apart = ops.sum(ops.square(image - other), axis=-1, keepdims=True)
            weights.append(ops.exp(of_space * (y * y + x * x) + of_color * apart))
        total = 1 + sum(weights)
        root = ops.rsqrt(total)
        return [weight * root * other for weight, other in zip(weights, self._moved(root), strict=True)]

    def _spatial(self, image):
        """Returns the share of a pixel in its own result, and the normalized weights along both axes."""
        _, height, width, _ = sizes(image)
        distance = self._values["spatial_distance"] * _diagonal(height, width)
        reach = self.size // 2
        bell = [ops.exp(-(step**2) / (2 * ops.square(distance))) for step in range(-reach, reach + 1)]
        ones = ops.ones_like(image[:, :, :, :1])
        kernels, own = [], 1.0
        for axis in (1, 2):
            moved = _shifted(ones, axis, reach)
            root = ops.rsqrt(sum(weight * other for weight, other in zip(bell, moved, strict=True)))
            pairs = zip(bell, _shifted(root, axis, reach), strict=True)
            kernels.append([weight * root * other for weight, other in pairs])
            own = own * kernels[-1][reach]
        return own, kernels

    def _offsets(self) -> list[tuple[int, int]]:
        steps = [self.dilation * step for step in range(-(self.size // 2), self.size // 2 + 1)]
        return [(y, x) for y in steps for x in steps if (y, x) != (0, 0)]

    def _moved(self, maps, outside: float = 0.0) -> list:
        """Returns the maps of all neighbors of the bilateral window. Outside of the image they are `outside`."""
        reach = self.dilation * (self.size // 2)
        padded = ops.pad(maps, [[0, 0], [reach, reach], [reach, reach], [0, 0]], constant_values=outside)
        return [padded[:, part(y, reach), part(x, reach)] for y, x in self._offsets()]

    def _sum(self, maps, weights):
        return sum(weight * other for weight, other in zip(weights, self._moved(maps), strict=True))

    def compute_output_shape(self, probabilities_shape, image_shape):
        return probabilities_shape

    def compute_output_spec(self, probabilities, image):
        return keras.KerasTensor(probabilities.shape, "float32")

    def get_config(self):
        own = {"size": self.size, "dilation": self.dilation, "from_logits": self.from_logits}
        return {**super().get_config(), "parameters": self.parameters.facts(), **own}


def _diagonal(height, width):
    return ops.sqrt(ops.cast(height * height + width * width, "float32"))


def _shifted(maps, axis: int, reach: int) -> list:
    """Returns the maps moved by -reach to reach pixels along an axis, with zeros outside."""
    border = [[0, 0], [0, 0], [0, 0], [0, 0]]
    border[axis] = [reach, reach]
    padded = ops.pad(maps, border)
    parts = [part(step, reach) for step in range(-reach, reach + 1)]
    return [padded[:, each] if axis == 1 else padded[:, :, each] for each in parts]


def _along(maps, weights: list, axis: int):
    return sum(w * other for w, other in zip(weights, _shifted(maps, axis, len(weights) // 2), strict=True))
