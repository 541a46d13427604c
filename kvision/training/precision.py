"""Half-precision arithmetic for a model that exists already."""

import keras

from kvision import checks
from kvision.choices import PRECISIONS

__all__ = ["PRECISIONS", "mixed"]


def mixed(layer: keras.layers.Layer, precision: str) -> None:
    """Lets a layer or model, and all layers inside, compute in half precision with float32 variables (Micikevicius et
    al. 2018, arXiv 1710.03740, section 3.1), or in float32 again.

    Keras' global policy reaches only layers made after it was set; a backbone that was cloned or loaded keeps its own.
    precision: "mixed_float16", which needs the loss scaled (`kv.schedules.fit` does it), "mixed_bfloat16" or "float32".
    On a CPU the gradients of a float16 convolution can take a hundred times as long as float32's (TensorFlow 2.21).
    Call `compile` afterwards. Give it the body of a classifier (`model.get_layer("body")`), not the head: softmax and
    loss stay float32. Layers whose variables are no float32 keep what they have.
    """
    checks.one_of("precision", precision, PRECISIONS)
    for inner in layer._flatten_layers():
        if inner.dtype_policy.variable_dtype == "float32":
            inner.dtype_policy = precision
