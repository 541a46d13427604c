"""The signatures of an image classifier: `predict` and `embed` of images, `serve_bytes` of encoded images."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kvision.export.quantize import HEAD
from kvision.pixels import graph

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = ["embedder", "functions", "served", "with_feature"]


def embedder(model: "keras.Model") -> "keras.Model":
    """image -> what the last layer reads."""
    import keras

    return keras.Model(model.input, model.layers[-1].input, name="embed")


def with_feature(model: "keras.Model") -> "keras.Model":
    """image -> the model's output, and what its last layer reads."""
    import keras

    return keras.Model(model.input, [model.output, model.layers[-1].input], name="with_feature")


def functions(model: "keras.Model") -> dict[str, Callable]:
    """Returns `predict` and `embed` of `image` `(batch, size, size, 3)` float32, with one output each.

    The TFLite converter can take both. `predict` calls `embed`, so that the network stands in a SavedModel once.
    """
    import keras
    import tensorflow as tf

    features = embedder(model)
    head = keras.Model(model.layers[-1].input, model.output, name="head")
    images = _images(model)

    # always training=False: Keras' own export leaves Random* layers switched on
    @tf.function(input_signature=[images], autograph=False)
    def embed(image):
        return {"feature": features(image, training=False)}

    @tf.function(input_signature=[images], autograph=False)
    def predict(image):
        feature = embed(image)["feature"]
        with tf.name_scope(HEAD):
            return {"probabilities": head(feature, training=False)}

    return {"predict": predict, "embed": embed}


def served(model: "keras.Model", functions: Mapping[str, Callable]) -> dict[str, Callable]:
    """Returns the signatures of a SavedModel over `functions`; empty batches work.

    `predict` and `serving_default` add `label`, the most probable class. `serve_bytes` takes `image_bytes` `(batch,)`
    and adds `valid` `(batch,)`: false where an image could not be decoded.
    """
    import tensorflow as tf

    images = _images(model)
    side = model.input_shape[1]
    probabilities, features = _with_empty_batches(functions["predict"]), _with_empty_batches(functions["embed"])

    @tf.function(input_signature=[images], autograph=False)
    def predict(image):
        found = probabilities(image)
        return {**found, "label": tf.argmax(found["probabilities"], 1, tf.int32)}

    @tf.function(input_signature=[images], autograph=False)
    def embed(image):
        return features(image)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        image, valid = graph.try_load(image_bytes, side)
        return {**predict(tf.cast(image, tf.float32)), "valid": valid}

    return {"serving_default": predict, "predict": predict, "serve_bytes": serve_bytes, "embed": embed}


def _with_empty_batches(function: Callable) -> Callable:
    """Gives an empty batch one row, and takes it away again.

    oneDNN's convolution (TensorFlow 2.21, CPU) answers an empty batch with the shape of its input, and the next layer
    fails. Padding by nothing is no copy: other batches cost the same. TFLite has no such convolution, and its converter
    loses the image's size behind padding, so it gets the functions without this.
    """
    import tensorflow as tf

    def call(image: "tf.Tensor") -> "dict[str, tf.Tensor]":
        count = tf.shape(image)[0]
        padded = tf.pad(image, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        padded.set_shape(image.shape)  # padding by a computed count forgets every size
        return {name: output[:count] for name, output in function(padded).items()}

    return call


def _images(model: "keras.Model") -> "tf.TensorSpec":
    import tensorflow as tf

    return tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")
