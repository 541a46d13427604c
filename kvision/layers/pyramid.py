"""A model that returns feature maps of several strides and computes their sizes."""

import math

import keras

from kvision import checks

__all__ = ["Pyramid"]

# Strides are measured at two image sizes that differ by this many pixels. Tracing takes equally long at any size.
_GROWTH = 2**16


@keras.saving.register_keras_serializable(package="kvision")
class Pyramid(keras.Model):
    """A functional model from images `(batch, height, width, channels)` to a list of feature maps.

    `kv.backbones.pyramid` creates this model from a backbone. Strides, channels and sizes are computed from the graph,
    so a model also has them after it is saved and loaded.

    Example:
        >>> image = keras.Input((None, None, 3))
        >>> half = keras.layers.Conv2D(8, 3, 2)(image)
        >>> model = kv.layers.Pyramid(image, [half, keras.layers.MaxPooling2D()(half)])
        >>> model.strides, model.sizes(65, 97)
        ((2, 4), ((32, 48), (16, 24)))
    """

    @property
    def strides(self) -> tuple[int | None, ...]:
        """Stride of each output in pixels of the image, or None for an output that does not grow with the image."""
        own = self.inputs[0].shape[1]
        # With the same remainder, the sizes of all maps are even or odd as at the model's own image size. NASNet needs
        # this, because its padding is fixed.
        start = 256 + (own or 0) % 64
        try:
            return tuple(rows for rows, _ in self.steps(start, start))
        except checks.UserError:  # a model of one image size, for example with learned positions
            if own is None:
                raise
            heights = [height for height, _ in self.sizes(*self.inputs[0].shape[1:3])]
            return tuple(own // h if own % h == 0 else 2 ** round(math.log2(own / h)) for h in heights)

    @property
    def channels(self) -> tuple[int, ...]:
        """The number of channels of each output."""
        return tuple(output.shape[-1] for output in self.outputs)

    def steps(self, height: int, width: int) -> tuple[tuple[int | None, int | None], ...]:
        """Measures the strides of each output along both axes.

        Args:
            height: Smallest height in pixels at which the graph is traced.
            width: Smallest width in pixels at which the graph is traced.

        Returns:
            `(rows, columns)` for each output: the distance between two neighboring pixels of the output, in pixels of
            the image. It is `None` along an axis where the output does not grow with the image.

        Raises:
            UserError: If the graph cannot take images of these sizes.
        """
        return self._steps(height, width, _GROWTH)

    def _steps(self, height: int, width: int, growth: int) -> tuple[tuple[int | None, int | None], ...]:
        small, large = self.sizes(height, width), self.sizes(height + growth, width + growth)

        def step(before: int, after: int) -> int | None:
            return round(growth / (after - before)) if after > before else None

        found = tuple((step(a[0], b[0]), step(a[1], b[1])) for a, b in zip(small, large, strict=True))
        # Rounding inside the network makes an output grow by up to two pixels more or less than growth / stride. If
        # 8 stride^2 <= growth, the quotient still rounds to the stride. A larger stride needs a larger growth.
        needed = 8 * max((step for steps in found for step in steps if step), default=1) ** 2
        return found if needed <= growth else self._steps(height, width, needed)

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Computes the size of each output for an image size, without running the model.

        The result is exact, while height / stride is not. For a model that was built for one image size, this also
        works for different sizes.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            `(height, width)` of each output.

        Raises:
            UserError: If the model cannot process images of this size.
        """
        image = keras.KerasTensor((1, height, width, self.inputs[0].shape[-1]), self.inputs[0].dtype)
        try:  # the model's own `compute_output_spec` would refuse sizes that differ from its input
            maps = self._run_through_graph([image], operation_fn=lambda operation: operation.compute_output_spec)
        except Exception as reason:  # layers raise exceptions of any class
            raise checks.UserError(
                "height, width",
                problem=f"do not fit '{self.name}': {str(reason).splitlines()[0]}",
                expected="an image size that the backbone can process",
                received=(height, width),
            ) from reason
        return tuple((x.shape[1], x.shape[2]) for x in maps)
