"""The signatures of a detector: `predict` of images, `serve_bytes` of encoded images."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kvision.pixels import graph
from kvision.tasks import detections, signatures

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = ["functions", "served"]


def functions(model: "keras.Model") -> dict[str, Callable]:
    """Returns the function for the TFLite converter.

    Args:
        model: A detector, from `image` to rows `(batch, limit, 6 or 7)`.

    Returns:
        `predict` of one image, with the output `detections`. TFLite cannot suppress boxes in any number of images.
    """
    import tensorflow as tf

    one = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")

    @tf.function(input_signature=[one], autograph=False)
    def predict(image):
        return {"detections": model(image, training=False)}

    return {"predict": predict}


def served(
    model: "keras.Model", functions: Mapping[str, Callable], resized: "Callable[[tf.Tensor], tf.Tensor]"
) -> dict[str, Callable]:
    """Returns the signatures of a SavedModel. Empty batches work.

    Args:
        model: The detector.
        functions: The functions that `functions` returned.
        resized: Makes a decoded image `(height, width, 3)` uint8 as large as the network takes it.

    Returns:
        The signatures by name. `predict` and `serving_default` return `boxes`, `scores` and `labels` in pixels of
        `image`. `serve_bytes` returns them in pixels of the original images, and adds `valid` `(batch,)`. If an image
        cannot be decoded, `valid` is false and all rows are unused.
    """
    import tensorflow as tf

    limit, columns = model.output_shape[1], model.output_shape[2] - 2
    detect = signatures.with_empty_batches(lambda image: {"detections": model(image, training=False)})

    def parts(rows):
        labels = tf.cast(tf.round(rows[..., -1]), tf.int32)
        return {"boxes": rows[..., :columns], "scores": rows[..., columns], "labels": labels}

    @tf.function(input_signature=[signatures.images(model)], autograph=False)
    def predict(image):
        return parts(detect(image)["detections"])

    def of_file(data: "tf.Tensor") -> "dict[str, tf.Tensor]":
        image, valid = graph.try_decode(data)

        def found():
            small = resized(image)
            rows = functions["predict"](tf.cast(small, tf.float32)[None])["detections"][0]
            down, across = tf.unstack(tf.shape(image)[:2] / tf.shape(small)[:2])
            scale = tf.stack([*detections.factors(columns, down, across), 1.0, 1.0])
            return tf.ensure_shape(rows * tf.cast(scale, tf.float32), (limit, columns + 2))

        unused = tf.constant([[0.0] * (columns + 1) + [-1.0]] * limit)
        return {**parts(tf.cond(valid, found, lambda: unused)), "valid": valid}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        kinds = {
            "boxes": tf.TensorSpec((limit, columns), tf.float32),
            "scores": tf.TensorSpec((limit,), tf.float32),
            "labels": tf.TensorSpec((limit,), tf.int32),
            "valid": tf.TensorSpec((), tf.bool),
        }
        return tf.map_fn(of_file, image_bytes, fn_output_signature=kinds, parallel_iterations=1)

    return {"serving_default": predict, "predict": predict, "serve_bytes": serve_bytes}
