"""A network with a label for each pixel as it is exported: images of any size in, masks of their size out."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.export import probabilities
from kvision.export.classifier import check_labels, encoded
from kvision.pixels import graph, pillow
from kvision.pixels.label_colors import palette

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = ["FACTS", "SIDE", "check", "facts", "plain", "probe", "served", "warmup", "write_probe"]

FACTS = "labels.json"  # in `assets.extra/` and in the `.tflite`: what else a reader of masks needs
SIDE = 256  # pixels, for phones, where no longest side is given
_SIZES = ((96, 96), (97, 129), (131, 101))  # that are compared; odd ones, on which pyramids round
_SURE = 0.005  # of probability: half a lead that rounding does not turn


def check(model: "keras.Model", labels: Sequence[str] | None) -> None:
    """UserError for a model or labels that are not exported."""
    named = len(model.inputs) == 1 and model.inputs[0].name == "image"
    if not named or tuple(model.input_shape[1:]) != (None, None, 3) or tuple(model.output_shape[1:3]) != (None, None):
        raise checks.error(
            "model",
            expected="one input `image` (B, None, None, 3) and one output (B, None, None, K)",
            received=f"{[tensor.name for tensor in model.inputs]} {model.input_shape} -> {model.output_shape}",
        )
    classes = model.output_shape[-1]
    if not 2 <= classes <= 255:
        raise checks.error("model", expected="2 to 255 classes, as a mask of 8 bits can hold", received=classes)
    check_labels(labels, classes)


def facts(model: "keras.Model", longest_side: int | None, colors: Sequence[Sequence[int]] | None) -> str:
    """The text of `labels.json`: the colors of the labels, and how large images may be for the network."""
    colors = palette(model.output_shape[-1]) if colors is None else colors
    if len(colors) != model.output_shape[-1]:
        raise checks.error("colors", expected=f"{model.output_shape[-1]} of them, (R, G, B)", received=colors)
    return json.dumps({"longest_side": longest_side, "colors": [list(map(int, color)) for color in colors]})


def plain(model: "keras.Model") -> dict[str, Callable]:
    """Returns `predict` of `image` `(batch, height, width, 3)` float32 with one output, for the TFLite converter."""
    import tensorflow as tf

    images = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")

    @tf.function(input_signature=[images], autograph=False)
    def predict(image):
        return {"probabilities": model(image, training=False)}

    return {"predict": predict}


def served(model: "keras.Model", functions: dict[str, Callable], longest_side: int | None) -> dict[str, Callable]:
    """`serving_default`, `predict` and `serve_bytes` of a SavedModel.

    `serve_bytes` takes `image_bytes` (B,), any sizes, and gives `mask_bytes` (B,), PNGs of labels in the images' sizes,
    empty where `valid` (B,) is false: the image could not be decoded. Larger images than `longest_side` are made
    smaller for the network, as in its training, and its probabilities enlarged back.
    """
    import tensorflow as tf

    images = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")

    @tf.function(input_signature=[images], autograph=False)
    def predict(image):
        found = functions["predict"](image)
        return {**found, "label": tf.argmax(found["probabilities"], 3, tf.int32)}

    def mask_of(data: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        image, valid = graph.try_decode(data)

        def mask():
            small = graph.fit(image, longest_side)
            found = functions["predict"](tf.cast(small, tf.float32)[None])["probabilities"]
            return tf.io.encode_png(_largest(found[0], tf.shape(image)[:2])[..., None])

        return tf.cond(valid, mask, lambda: tf.constant(b"")), valid

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def serve_bytes(image_bytes):
        kinds = (tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.bool))
        masks, valid = tf.map_fn(mask_of, image_bytes, fn_output_signature=kinds, parallel_iterations=1)
        return {"mask_bytes": masks, "valid": valid}

    return {"serving_default": predict, "predict": predict, "serve_bytes": serve_bytes}


def _largest(scores: "tf.Tensor", size: "tf.Tensor") -> "tf.Tensor":
    """`pillow.largest` in a graph: (h, w, K) -> (H, W) uint8, class by class."""
    import tensorflow as tf

    classes = scores.shape[2]

    def one(label, best, labels):
        plane = tf.image.resize(tf.gather(scores, [label], axis=2), size)[..., 0]
        larger = plane > best
        return label + 1, tf.where(larger, plane, best), tf.where(larger, tf.cast(label, tf.uint8), labels)

    start = (tf.constant(0), tf.fill(size, -np.inf), tf.zeros(size, tf.uint8))
    free = tf.TensorShape((None, None))
    shapes = (tf.TensorShape(()), free, free)
    return tf.while_loop(lambda label, *_: label < classes, one, start, shape_invariants=shapes)[2]


def probe(model: "keras.Model", longest_side: int | None) -> list[np.ndarray]:
    """Images (H, W, 3) uint8 of odd and even sizes to compare on, one of them larger than `longest_side`: noise."""
    random = np.random.default_rng(0)
    sizes = _SIZES if longest_side is None else (*_SIZES, (longest_side // 2 + 48, longest_side + 37))
    return [random.integers(0, 256, (*size, 3)).astype("uint8") for size in sizes]


def write_probe(model: "keras.Model", images: Sequence[np.ndarray], path: Path, longest_side: int | None) -> None:
    """What the fresh process compares with: images, the same as PNG, and what the model makes of them: probabilities of
    the image as it is, and labels of it through the network's size; sure: where these are no near ties."""
    import tensorflow as tf

    found = {}
    for number, image in enumerate(images):
        found[f"image_{number}"], found[f"png_{number}"] = image, np.array(encoded(image).hex())
        answer = np.asarray(model(image[None].astype("float32"), training=False))
        probabilities.check(model, answer)
        found[f"probabilities_{number}"] = answer
        fitted = tf.cast(
            graph.fit(tf.constant(image), longest_side), tf.float32
        )  # Pillow's is a level off, here, there
        small = np.asarray(model(fitted[None], training=False))[0]
        labels = pillow.largest(small, image.shape[:2])
        second = small - 2 * _SURE * (small == small.max(axis=2, keepdims=True))  # the winner, handicapped
        found[f"labels_{number}"] = labels
        found[f"sure_{number}"] = pillow.largest(second, image.shape[:2]) == labels
    np.savez(path, **found)


def warmup(images: Sequence[np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """A request of one image for each signature."""
    image_bytes = {"image_bytes": np.array([encoded(images[0])], dtype=object)}
    return {"predict": {"image": images[0][None].astype("float32")}, "serve_bytes": image_bytes}
