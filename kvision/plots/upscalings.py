"""Draws the effect of each upscaling layer of `kv.layers` on the same small pictures."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["upscalings"]

_SIDE, _ENLARGED = 8, 4  # side of a small picture, and side of a drawn pixel of the result


def upscalings(axes: "Axes") -> "Axes":
    """Draws three small pictures (rows), enlarged twice by each upscaling layer of `kv.layers` (columns).

    The pictures are a checkerboard, an edge and a plain field of 8 x 8 pixels. The layers are not trained. A pattern in
    the plain field is a checkerboard artifact of the layer. A transposed convolution has this artifact because its
    stride 2 does not divide its kernel size 3. A sub-pixel convolution has it because it uses a different kernel for
    each of its four pixels.

    Args:
        axes: Where to draw.

    Returns:
        `axes`.

    References:
        Odena et al. 2016, Deconvolution and checkerboard artifacts, Distill.
    """
    import keras

    columns = _columns()
    y, x = np.mgrid[:_SIDE, :_SIDE]
    pictures = [(y // 2 + x // 2) % 2, x >= _SIDE // 2, np.full((_SIDE, _SIDE), 0.5)]
    rows = []
    for picture in pictures:
        images = picture.astype("float32")[None, :, :, None]
        cells = [keras.ops.convert_to_numpy(enlarge(images))[0, :, :, 0] for enlarge in columns.values()]
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


def _columns() -> dict[str, Callable]:
    """Returns functions from images `(1, 8, 8, 1)` to images `(1, 16, 16, 1)`, by name."""
    from kvision import layers

    def resized(how: str) -> Callable:
        return lambda images: layers.ResizeLike(how)(images, np.zeros((1, 2 * _SIDE, 2 * _SIDE, 1), "float32"))

    def with_kernel(layer, kernel: np.ndarray):
        layer.build((1, _SIDE, _SIDE, 1))
        layer.set_weights([kernel, *layer.get_weights()[1:]])
        return layer

    def unpooled(images: np.ndarray):
        """Puts each pixel at the position of the largest pixel of its square in a picture with a gradient."""
        gradient = np.linspace(0, 0.1, 2 * _SIDE)[None, :, None, None]
        fine = (np.kron(images, np.ones((1, 2, 2, 1))) + gradient).astype("float32")
        values, switches = layers.SwitchedMaxPooling(2)(fine)
        return layers.MaxUnpooling(2)(values, switches, fine)

    three = np.ones((3, 3, 1, 1), "float32") * 4 / 9
    random = np.random.default_rng(0).uniform(0, 2 / 9, (3, 3, 1, 4)).astype("float32")
    alike = np.repeat(random[..., :1], 4, axis=-1)
    transposed = {"filters": 1, "strides": 2, "use_bias": False}
    return {
        "nearest": resized("nearest"),
        "bilinear": resized("bilinear"),
        "bed of nails": layers.BedOfNails(2),
        "max unpooling": unpooled,
        "transposed, 3x3 kernel": with_kernel(layers.TransposedConvolution(kernel_size=3, **transposed), three),
        "transposed, bilinear 4x4": layers.TransposedConvolution(
            kernel_size=4, kernel_initializer=layers.BilinearKernel(), **transposed
        ),
        "sub-pixel, random": with_kernel(layers.SubPixelConvolution(1, 2), random),
        "sub-pixel, ICNR": with_kernel(layers.SubPixelConvolution(1, 2), alike),
    }
