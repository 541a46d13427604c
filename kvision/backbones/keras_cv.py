"""Networks of keras-cv that Keras itself lacks: the one file that knows keras-cv."""

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
    """A backbone of keras-cv 0.9.0, from the extra `cv`, as plain Keras layers.

    name: "ResNet18V2", "ResNet34V2" (He et al. 2016, arXiv 1603.05027, with basic blocks), or "CSPDarkNetTiny" (Wang et
    al. 2019, arXiv 1911.11929, as YOLOX has it, arXiv 2107.08430).
    Returns a functional model `image` (B, S, S, channels) in [0, 255] -> (B, h, w, D) at stride 32, S = image_size,
    with random weights; pixels are divided by 255 inside (`Preprocess`), as keras-cv trains. A saved file loads without
    keras-cv.
    Raises UserError for an unknown name, or without keras-cv.
    """
    kind, options = _TABLE[checks.one_of("name", name, _TABLE)]
    try:
        package = importlib.import_module("keras_cv")
    except ImportError as reason:
        raise checks.error(
            "name",
            problem=f"{name} comes with the extra `cv`, which is not installed ({reason})",
            expected="the package keras-cv",
            received=name,
            hint=f"Run: {installation.extra('cv')}",
        ) from reason
    # not the class `...Backbone` of this name: that one downloads its configuration
    image = keras.Input((image_size, image_size, channels), name="image")
    pixels = Preprocess("unit")(image)
    shape = (None, None, pixels.shape[-1])
    model, start = getattr(package.models, kind)(include_rescaling=False, input_shape=shape, **options), pixels
    while True:  # a layer opened may hold others
        model = keras.Model(image, model._run_through_graph([start], operation_fn=_opened), name=name)
        start = image
        if all(_opened(operation) is operation for operation in model.operations):
            return keras.models.clone_model(model)  # new layers, which forget the graphs that they came through


def _opened(operation: Any) -> Any:
    """keras-cv's layers and the models inside its models, as the Keras layers that they call; other layers stay."""
    if isinstance(operation, keras.layers.Lambda):  # Python code, which no safe file holds; in CSPDarkNet always SiLU
        return lambda x, **_: keras.layers.Activation("silu")(x)
    if type(operation).__name__ == "ConvertToTensor":  # a trace of the calls
        return lambda x, **_: x
    opens = isinstance(operation, keras.Model) or type(operation).__module__.startswith("keras_cv.")
    return operation.call if opens else operation
