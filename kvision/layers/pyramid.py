"""A model with feature maps of several strides, which knows their sizes."""

import math

import keras

from kvision import checks

__all__ = ["Pyramid"]

# pixels between the two sizes that strides are measured at: every stride up to 64, and a patch of 12, 14 or 48, divides
# it, so that the growth of a feature map is exact, whatever its padding cost. Tracing takes as long at any size.
_GROWTH = 1344


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
            ends = [self.sizes(size, size) for size in (start, start + _GROWTH)]
        except checks.UserError:  # positions learned for one size, say
            if own is None:
                raise
            heights = [height for height, _ in self.sizes(*self.inputs[0].shape[1:3])]
            return tuple(own // h if own % h == 0 else 2 ** round(math.log2(own / h)) for h in heights)
        growths = [large[0] - small[0] for small, large in zip(*ends, strict=True)]
        return tuple(round(_GROWTH / growth) if growth > 0 else None for growth in growths)

    @property
    def channels(self) -> tuple[int, ...]:
        """The number of channels of each output."""
        return tuple(output.shape[-1] for output in self.outputs)

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
