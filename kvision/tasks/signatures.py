"""The signatures of an image classifier: `predict` and `embed` of images, `serve_bytes` of encoded images."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kvision.export.quantize import HEAD
from kvision.pixels import graph

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = ["functions", "images", "served", "with_empty_batches"]


def images(model: "keras.Model") -> "tf.TensorSpec":
    """Returns the specification of the input `image`, float32 with any number of images."""
    import tensorflow as tf

    return tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")


def functions(model: "keras.Model") -> dict[str, Callable]:
    """Returns functions of `image` `(batch, size, size, 3)` float32 with one output each, for the TFLite converter.

    Args:
        model: A classifier.

    Returns:
        `predict` and `embed`. `embed` returns the input of the last layer. `predict` calls `embed`, so that a
        SavedModel holds the network once.
    """
    import keras
    import tensorflow as tf

    features = keras.Model(model.input, model.layers[-1].input, name="embed")
    head = keras.Model(model.layers[-1].input, model.output, name="head")

    # `training=False` is always passed, because Keras' own export leaves Random* layers active.
    @tf.function(input_signature=[images(model)], autograph=False)
    def embed(image):
        return {"feature": features(image, training=False)}

    @tf.function(input_signature=[images(model)], autograph=False)
    def predict(image):
        feature = embed(image)["feature"]
        with tf.name_scope(HEAD):
            return {"probabilities": head(feature, training=False)}

    return {"predict": predict, "embed": embed}


def served(model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
    """Returns the signatures of a SavedModel. Empty batches work.

    Args:
        model: A classifier.
        functions: The functions that `functions` returned.

    Returns:
        The signatures by name. `predict` and `serving_default` add the output `label`, the most probable class.
        `serve_bytes` takes `image_bytes` `(batch,)` and adds `valid` `(batch,)`, which is false if an image cannot be
        decoded. `embed` is unchanged.
    """
    import tensorflow as tf

    probabilities, features = with_empty_batches(functions["predict"]), with_empty_batches(functions["embed"])

    @tf.function(input_signature=[images(model)], autograph=False)
    def predict(image):
        found = probabilities(image)
        return {**found, "label": tf.argmax(found["probabilities"], 1, tf.int32)}

    @tf.function(input_signature=[images(model)], autograph=False)
    def embed(image):
        return features(image)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        image, valid = graph.try_load(image_bytes, model.input_shape[1])
        return {**predict(tf.cast(image, tf.float32)), "valid": valid}

    return {"serving_default": predict, "predict": predict, "serve_bytes": serve_bytes, "embed": embed}


def with_empty_batches(function: Callable) -> Callable:
    """Returns a function that adds one row to each input of an empty batch and removes this row from the outputs.

    All inputs are `(batch, height, width, channels)`.

    For an empty batch, oneDNN's convolution (TensorFlow 2.21, CPU) returns the shape of its input, and the next layer
    fails. For a batch with rows the padding is empty and copies nothing, so the cost stays the same. TFLite models are
    converted without this function: TFLite does not use this convolution, and its converter loses the image size after
    padding.
    """
    import tensorflow as tf

    def call(*inputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        count = tf.shape(inputs[0])[0]
        padded = [tf.pad(one, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]]) for one in inputs]
        for one, given in zip(padded, inputs, strict=True):
            one.set_shape(given.shape)  # Padding by a computed count removes every static size.
        return {name: output[:count] for name, output in function(*padded).items()}

    return call
