"""Switches a model that already exists to half precision."""

import keras

from kvision import checks
from kvision.choices import PRECISIONS

__all__ = ["PRECISIONS", "mixed"]


def mixed(layer: keras.layers.Layer, precision: str) -> None:
    """Changes a layer or model, and all layers inside it, to half precision with float32 variables, or back to float32.

    Keras' global policy affects only layers that are created after it was set. A backbone that was cloned or loaded
    keeps its own policy.

    Call `compile` afterwards. For a classifier, pass the body (`model.get_layer("body")`), so that softmax and loss
    stay float32. Layers with variables that are not float32 keep their type. On a CPU the gradients of a float16
    convolution can take a hundred times as long as the gradients of a float32 convolution (TensorFlow 2.21).

    Args:
        layer: A layer or model. It is changed in place.
        precision: `"mixed_bfloat16"`, `"mixed_float16"` or `"float32"`. `"mixed_float16"` needs a scaled loss.
            `kv.schedules.fit` scales the loss.

    Raises:
        UserError: If `precision` is not one of `kv.training.PRECISIONS`.

    Example:
        >>> dense = keras.layers.Dense(2)
        >>> kv.training.mixed(dense, "mixed_bfloat16")
        >>> dense.compute_dtype, dense.variable_dtype
        ('bfloat16', 'float32')

    References:
        Micikevicius et al. 2018, arXiv 1710.03740, section 3.1.
    """
    checks.one_of("precision", precision, PRECISIONS)
    for inner in layer._flatten_layers():
        if inner.dtype_policy.variable_dtype == "float32":
            inner.dtype_policy = precision
