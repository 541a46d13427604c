"""Networks of the package keras-cv that Keras does not contain."""

import importlib
from typing import Any

import keras

from kvision import checks, installation
from kvision.layers import Preprocess

__all__ = ["keras_cv"]

_RESNET = {"stackwise_filters": [64, 128, 256, 512], "stackwise_strides": [1, 2, 2, 2], "block_type": "basic_block"}
_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNet18V2": ("ResNetV2Backbone", {**_RESNET, "stackwise_blocks": [2, 2, 2, 2]}),
    "ResNet34V2": ("ResNetV2Backbone", {**_RESNET, "stackwise_blocks": [3, 4, 6, 3]}),
    "CSPDarkNetTiny": (
        "CSPDarkNetBackbone",
        {"stackwise_channels": [48, 96, 192, 384], "stackwise_depth": [1, 3, 3, 1], "use_depthwise": False},
    ),
}


def keras_cv(name: str, *, image_size: int = 224, channels: int = 3) -> keras.Model:
    """Creates a backbone of keras-cv 0.9.0 (the extra `cv`) out of plain Keras layers.

    A saved model loads without keras-cv. Pixels are divided by 255 inside the model, as keras-cv does.

    Args:
        name: `"ResNet18V2"`, `"ResNet34V2"` or `"CSPDarkNetTiny"`.
        image_size: Height and width in pixels.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to a map of stride 32,
        with random weights.

    Raises:
        UserError: If the name is unknown or keras-cv is not installed.

    References:
        He et al. 2016, arXiv 1603.05027 (ResNetV2). Wang et al. 2019, arXiv 1911.11929, as in YOLOX, arXiv 2107.08430
        (CSPDarkNet).
    """
    kind, options = _TABLE[checks.one_of("name", name, _TABLE)]
    try:
        package = importlib.import_module("keras_cv")
    except ImportError as reason:
        raise checks.UserError(
            "name",
            problem=f"needs the extra `cv`, which is not installed ({reason})",
            expected="the package keras-cv",
            received=name,
            hint=f"Run: {installation.extra('cv')}",
        ) from reason
    # keras-cv also has one class per network, but these classes would download the configuration of the network.
    image = keras.Input((image_size, image_size, channels), name="image")
    pixels = Preprocess("unit")(image)
    shape = (None, None, pixels.shape[-1])
    model, start = getattr(package.models, kind)(include_rescaling=False, input_shape=shape, **options), pixels
    while True:  # a replaced layer can contain more layers of keras-cv
        model = keras.Model(image, model._run_through_graph([start], operation_fn=_opened), name=name)
        start = image
        if all(_opened(operation) is operation for operation in model.operations):
            return keras.models.clone_model(model)  # new layers, without the nodes of the intermediate graphs


def _opened(operation: Any) -> Any:
    """Replaces layers of keras-cv and nested models by the Keras layers that they call."""
    if isinstance(operation, keras.layers.Lambda):  # cannot be saved safely; in CSPDarkNet it is always SiLU
        return lambda x, **_: keras.layers.Activation("silu")(x)
    if type(operation).__name__ == "ConvertToTensor":  # appears because keras-cv's layers are called here
        return lambda x, **_: x
    opens = isinstance(operation, keras.Model) or type(operation).__module__.startswith("keras_cv.")
    return operation.call if opens else operation
