"""Turns heat maps into the sides of boxes."""

import keras
from keras import ops

__all__ = ["SoftArgmax"]


@keras.saving.register_keras_serializable(package="kvision")
class SoftArgmax(keras.layers.Layer):
    """Returns the expected position of the peak of each heat map, as a side of a box.

    The layer maps logits `(batch, h, w, 4 * n)` to boxes `(batch, n, 4)`. The softmax of a map over all its points is a
    distribution of positions. Four consecutive maps give the expectations of y, x, y and x: the sides ymin, xmin, ymax
    and xmax of one box. Sides are shares of height and width: the first points of a map lie on the top and left border
    of the image, with the position 0, and the last points lie on the bottom and right border, with the position 1. The
    sides of an untrained network are not in order.

    In contrast to averages over a map, the result moves with the peak. In contrast to argmax, it has a gradient.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Example:
        >>> maps = np.zeros((1, 5, 5, 4), "float32")
        >>> maps[0, 1, :, 0] = maps[0, :, 0, 1] = maps[0, 4, :, 2] = maps[0, :, 3, 3] = 50
        >>> np.asarray(kv.layers.SoftArgmax()(maps)).round(2).tolist()
        [[[0.25, 0.0, 1.0, 0.75]]]

    References:
        Nibali et al. 2018, arXiv 1801.07372, sections 3 and 4 (DSNT), there with the centers of pixels as positions.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, maps):
        height, width, count = maps.shape[1:]
        logits = ops.reshape(ops.cast(maps, "float32"), (-1, height * width, count))
        shares = ops.reshape(ops.softmax(logits, axis=1), (-1, height, width, count))
        y, x = ops.linspace(0.0, 1.0, height), ops.linspace(0.0, 1.0, width)
        down = ops.sum(ops.sum(shares, 2) * y[:, None], 1)
        across = ops.sum(ops.sum(shares, 1) * x[:, None], 1)
        vertical = ops.convert_to_tensor([1.0, 0.0, 1.0, 0.0])
        sides = [ops.reshape(values, (-1, count // 4, 4)) for values in (down, across)]
        return sides[0] * vertical + sides[1] * (1 - vertical)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1] // 4, 4)

    def compute_output_spec(self, maps):
        return keras.KerasTensor(self.compute_output_shape(maps.shape), "float32")
