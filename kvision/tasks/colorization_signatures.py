"""The signatures of a network that colors pictures: `predict` of images, `serve_bytes` of encoded images."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kvision import luma_chroma, sepia
from kvision.pixels import graph
from kvision.tasks import signatures

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = ["caller", "functions", "neighbors", "served"]


def caller(model: "keras.Model") -> Callable[..., Any]:
    """Returns a function of the inputs of the model by name. Without `hints`, no color is known."""

    def call(image: Any, **others: Any) -> Any:
        import tensorflow as tf

        image = tf.convert_to_tensor(image)
        if len(model.inputs) == 1:
            return model(image, training=False)
        given = {name: tf.convert_to_tensor(rows) for name, rows in others.items()}
        if any(tensor.name == "hints" for tensor in model.inputs):
            given.setdefault("hints", tf.zeros_like(image))
        return model({"image": image, **given}, training=False)

    return call


def neighbors(model: "keras.Model") -> int:
    """Returns the number of neighboring frames that the model takes."""
    return next((tensor.shape[-1] for tensor in model.inputs if tensor.name == "neighbors"), 0)


def functions(model: "keras.Model") -> dict[str, Callable]:
    """Returns `predict` for the TFLite converter, with the output `colored`.

    Args:
        model: A model from `image`, and perhaps `hints` or `neighbors`, to RGB.
    """
    call = caller(model)
    return {"predict": _function(model, lambda **inputs: {"colored": call(**inputs)})}


def served(
    model: "keras.Model", functions: Mapping[str, Callable], longest_side: int | None, standard: str
) -> dict[str, Callable]:
    """Returns the signatures of a SavedModel.

    Args:
        model: A model from `image`, and perhaps `hints` or `neighbors`, to RGB.
        functions: The functions that `functions` returned.
        longest_side: The largest length of a side for the network, or None.
        standard: The standard of luma and chroma.

    Returns:
        The signatures by name. `serve_bytes` returns PNG files as `image_bytes`, and `valid`. If an image cannot be
        decoded, its file is empty.
    """
    import tensorflow as tf

    def of_file(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        image, valid = graph.try_decode(data)

        def colored():
            small = tf.cast(graph.fit(image, longest_side), tf.float32)
            found = functions["predict"](small[None], *_still(model, small[None], standard))["colored"]
            if longest_side is not None:
                same = tf.reduce_all(tf.shape(small) == tf.shape(image))
                found = tf.cond(same, lambda: found, lambda: enlarged(found, image))
            return tf.io.encode_png(tf.saturate_cast(tf.round(found[0]), tf.uint8))

        return tf.cond(valid, colored, lambda: tf.constant(b"")), valid

    def enlarged(found: "tf.Tensor", image: "tf.Tensor") -> "tf.Tensor":
        """Puts the chroma of a smaller picture on the original one, as `kvision.pixels.rejoined` does."""
        chroma = tf.image.resize(luma_chroma.luma_chroma(found, standard)[..., 1:], tf.shape(image)[:2])
        gray = sepia.gray(tf.cast(image, tf.float32)[None], standard)
        return luma_chroma.rgb(gray, chroma, standard)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        kinds = (tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.bool))
        files, valid = tf.map_fn(of_file, image_bytes, fn_output_signature=kinds, parallel_iterations=1)
        return {"image_bytes": files, "valid": valid}

    predict = signatures.with_empty_batches(functions["predict"])

    of_images = _function(model, lambda **inputs: predict(*inputs.values()))

    found = {"serving_default": of_images, "predict": of_images, "serve_bytes": serve_bytes}
    if any(tensor.name == "hints" for tensor in model.inputs):
        call = caller(model)

        @tf.function(input_signature=[_pixels("image"), _pixels("hints")], autograph=False)
        def predict_hints(image, hints):
            return {"colored": call(image, hints=hints)}

        found["predict_hints"] = predict_hints
    return found


def _function(model: "keras.Model", body: Callable) -> Callable:
    """Returns a `tf.function` of images, and of the neighboring frames if the model takes them."""
    import tensorflow as tf

    if not (count := neighbors(model)):

        @tf.function(input_signature=[_pixels("image")], autograph=False)
        def of_images(image):
            return body(image=image)

        return of_images

    @tf.function(input_signature=[_pixels("image"), _pixels("neighbors", count)], autograph=False)
    def of_frames(image, neighbors):
        return body(image=image, neighbors=neighbors)

    return of_frames


def _still(model: "keras.Model", image: "tf.Tensor", standard: str) -> list:
    """Returns the gray of the picture itself in place of its neighbors, or nothing if the model takes none."""
    import tensorflow as tf

    count = neighbors(model)
    return [tf.repeat(sepia.gray(image, standard), count, axis=3)] if count else []


def _pixels(name: str, channels: int = 3) -> "tf.TensorSpec":
    import tensorflow as tf

    return tf.TensorSpec((None, None, None, channels), tf.float32, name=name)
