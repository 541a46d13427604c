"""An edge predictor beside the class predictor, on the same decoder."""

import keras
from keras import layers

from kvision import checks
from kvision.decoders import blocks
from kvision.layers import ResizeLike

__all__ = ["with_edges"]


def with_edges(model: keras.Model, *, width: int = 16) -> keras.Model:
    """Adds an edge predictor to a U-Net.

    The last map of the decoder, which the class logits are computed from, also feeds an edge predictor. The predictor
    enlarges the map to the size of the image, joins it with the image, and applies two 3x3 convolutions. The image
    shows exactly where an edge is. GSCNN joins its edges with the gradients of the image for the same reason.

    The maps of the edge predictor also correct the class logits, as GSCNN's class predictor gets the maps of its edges.
    The correction is 0 at the start of the training.

    Args:
        model: A model of `kv.decoders.unet`. The new model shares its weights.
        width: Number of channels of the two convolutions.

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 255] of any size to float32
        `(batch, height, width, classes + 1)`: the logits of the classes, then the logit of an edge.
        `kv.losses.EdgedLoss` trains it, and `kv.segmentation.fuse_edges` returns class probabilities.

    Raises:
        UserError: If the model is not a U-Net, or `width` is not positive.

    Example:
        >>> backbone = kv.backbones.plain_residual(8, classes=None)
        >>> model = kv.decoders.with_edges(kv.decoders.unet(backbone, classes=3, widths=(8, 4)))
        >>> model.output_shape
        (None, None, None, 4)

    References:
        Takikawa et al. 2019, arXiv 1907.05740 (GSCNN).
    """
    checks.positive({"width": width})
    names = [layer.name for layer in model.layers]
    if "logits" not in names or "edge_logit" in names:
        raise checks.UserError("model", expected="a model of kv.decoders.unet", received=model.name)
    image, last = model.inputs[0], model.get_layer("logits").input
    x = ResizeLike(name="edge_resize")(last, image)
    scaled = layers.Rescaling(1 / 127.5, -1, name="edge_image")(image)
    x = layers.Concatenate(name="edge_concat")([x, scaled])
    for number in (1, 2):
        x = blocks.convolution(x, width, norm="batch", name=f"edge_{number}")
    edge = blocks.logits(x, 1, kernel_size=1, name="edge_logit")
    classes = model.output.shape[-1]
    correction = layers.Conv2D(
        classes, 3, padding="same", kernel_initializer="zeros", dtype="float32", name="edge_correction"
    )(x)
    corrected = layers.Add(dtype="float32", name="edge_corrected")([model.output, correction])
    both = layers.Concatenate(dtype="float32", name="logits_and_edge")([corrected, edge])
    return keras.Model(image, both, name=f"{model.name}_edges")
