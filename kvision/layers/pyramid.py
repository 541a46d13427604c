"""A model with feature maps of several strides, which knows their sizes."""

import math

import keras

from kvision import checks

__all__ = ["Pyramid"]

_GROWTH = 2**16  # pixels between the two sizes that strides are measured at; tracing takes as long at any size


@keras.saving.register_keras_serializable(package="kvision")
class Pyramid(keras.Model):
    """A functional model: image (B, H, W, C) -> a list of feature maps, as `kv.backbones.pyramid` makes it.

    All attributes are read off the graph, so a saved and reloaded one has them too.
    """

    @property
    def strides(self) -> tuple[int | None, ...]:
        """Pixels of the image for each pixel of the outputs; None for an output whose size is not the image's."""
        own = self.inputs[0].shape[1]
        start = 256 + (own or 0) % 64  # as even and odd on its way down as its own: NASNet's padding is fixed
        try:
            return tuple(rows for rows, _ in self.steps(start, start))
        except checks.UserError:  # positions learned for one size, say
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
            `(rows, columns)` for each output: pixels of the image from one pixel of the output to the next, or `None`
            along an axis where the output does not grow with the image.

        Raises:
            kvision.UserError: If the graph cannot take images of these sizes.
        """
        return self._steps(height, width, _GROWTH)

    def _steps(self, height: int, width: int, growth: int) -> tuple[tuple[int | None, int | None], ...]:
        small, large = self.sizes(height, width), self.sizes(height + growth, width + growth)

        def step(before: int, after: int) -> int | None:
            return round(growth / (after - before)) if after > before else None

        found = tuple((step(a[0], b[0]), step(a[1], b[1])) for a, b in zip(small, large, strict=True))
        # Rounding inside the network makes an output grow by up to two pixels more or less than growth / stride. The
        # quotient rounds to the stride all the same where 8 stride^2 <= growth; a larger stride needs more growth.
        needed = 8 * max((step for steps in found for step in steps if step), default=1) ** 2
        return found if needed <= growth else self._steps(height, width, needed)

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """(height, width) of each output for an image of that size, without running it; never height / stride.

        A model of one image size answers for others too: as if it had been built for them.
        Raises UserError for a size that the graph cannot take.
        """
        image = keras.KerasTensor((1, height, width, self.inputs[0].shape[-1]), self.inputs[0].dtype)
        try:  # not `compute_output_spec`, which refuses another size than the one of the input
            maps = self._run_through_graph([image], operation_fn=lambda operation: operation.compute_output_spec)
        except Exception as reason:  # a layer raises what it likes
            raise checks.error(
                "height, width",
                problem=f"cannot pass through '{self.name}': {str(reason).splitlines()[0]}",
                expected="an image size that the backbone can take",
                received=(height, width),
            ) from reason
        return tuple((x.shape[1], x.shape[2]) for x in maps)
