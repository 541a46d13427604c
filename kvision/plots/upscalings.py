"""What each way of enlarging a map does to the same small pictures."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["upscalings"]

_SIDE, _ENLARGED = 8, 4  # pixels of the small pictures; how large a pixel of the result is drawn


def upscalings(axes: "Axes") -> "Axes":
    """A checkerboard, an edge and a plain field of 8 x 8 pixels (rows), enlarged twice by the layers of `kv.layers` as
    they begin (columns), all to one scale. What should stay plain and does not is a checkerboard of the layer's own
    making (Odena et al. 2016): a transposed convolution whose kernel of 3 the stride of 2 does not divide, a sub-pixel
    convolution with a kernel of its own for each of the four pixels."""
    columns = _columns()
    y, x = np.mgrid[:_SIDE, :_SIDE]
    pictures = [(y // 2 + x // 2) % 2, x >= _SIDE // 2, np.full((_SIDE, _SIDE), 0.5)]
    rows = []
    for picture in pictures:
        cells = [call(picture.astype("float32")) for call in columns.values()]
        rows.append(np.concatenate([np.pad(cell, 1, constant_values=np.nan) for cell in cells], axis=1))
    mosaic = np.concatenate(rows)
    axes.imshow(np.kron(mosaic, np.ones((_ENLARGED, _ENLARGED))), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    side = (2 * _SIDE + 2) * _ENLARGED
    axes.set(
        xticks=[side * (number + 0.5) for number in range(len(columns))],
        xticklabels=list(columns),
        yticks=[side * (number + 0.5) for number in range(len(pictures))],
        yticklabels=["checkerboard", "edge", "plain"],
    )
    axes.tick_params(axis="x", labelrotation=90, length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    return axes


def _columns() -> dict:
    """{name: function (8, 8) -> (16, 16)}."""
    import keras

    from kvision import layers

    def on(layer, *kernel):
        def call(picture: np.ndarray) -> np.ndarray:
            x = picture[None, :, :, None]
            layer(x)
            if kernel:
                layer.set_weights([kernel[0], *layer.get_weights()[1:]])
            return np.asarray(keras.ops.convert_to_numpy(layer(x)))[0, :, :, 0]

        return call

    def like(picture: np.ndarray, how: str) -> np.ndarray:
        x = picture[None, :, :, None]
        resized = layers.ResizeLike(how)(x, np.zeros((1, 2 * _SIDE, 2 * _SIDE, 1), "float32"))
        return np.asarray(keras.ops.convert_to_numpy(resized))[0, :, :, 0]

    def unpooled(picture: np.ndarray) -> np.ndarray:
        """Where the largest of each square stood in a picture with a gradient."""
        fine = np.kron(picture, np.ones((2, 2)))[None, :, :, None] + np.linspace(0, 0.1, 16)[None, :, None, None]
        values, switches = layers.SwitchedMaxPooling(2)(fine.astype("float32"))
        found = layers.MaxUnpooling(2)(values, switches, fine.astype("float32"))
        return np.asarray(keras.ops.convert_to_numpy(found))[0, :, :, 0]

    three = np.ones((3, 3, 1, 1), "float32") * 4 / 9
    random = np.random.default_rng(0).uniform(0, 2 / 9, (3, 3, 1, 4)).astype("float32")
    alike = np.repeat(random[..., :1], 4, axis=-1)
    transposed = {"filters": 1, "strides": 2, "use_bias": False}
    return {
        "nearest": lambda picture: like(picture, "nearest"),
        "bilinear": lambda picture: like(picture, "bilinear"),
        "bed of nails": on(layers.BedOfNails(2)),
        "max unpooling": unpooled,
        "transposed, 3x3 kernel": on(layers.TransposedConvolution(kernel_size=3, **transposed), three),
        "transposed, bilinear 4x4": on(
            layers.TransposedConvolution(kernel_size=4, kernel_initializer=layers.BilinearKernel(), **transposed)
        ),
        "sub-pixel, random": on(layers.SubPixelConvolution(1, 2), random),
        "sub-pixel, ICNR": on(layers.SubPixelConvolution(1, 2), alike),
    }
