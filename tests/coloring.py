"""A small model that colors frames from their luma and from the luma of their neighbors, and a task to export it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
import numpy as np
from keras import ops

from kvision.export import Answer, CardText, Case
from kvision.pixels import pillow
from kvision.tasks.parts import Picture, png

BACK = np.array([[30.0, 0.0, -20.0], [-10.0, 5.0, 15.0]], "float32")  # color of each neighbor, in levels at white


def model(neighbors: int = 0) -> keras.Model:
    """colored = luma + luma / 255 * (10, 0, -10) + the weighted luma of the neighbors; 3x3 blur of the chroma."""
    image = keras.Input((None, None, 3), name="image")
    luma = keras.layers.Dense(1, use_bias=False, name="luma")
    gray = luma(image)
    luma.set_weights([np.array([[0.299], [0.587], [0.114]])])
    planes, inputs = [gray], {"image": image}
    if neighbors:
        inputs["neighbors"] = keras.Input((None, None, neighbors), name="neighbors")
        planes.append(inputs["neighbors"])
    paint = keras.layers.Dense(3, use_bias=False, name="paint")
    color = paint(keras.layers.Concatenate()(planes) if neighbors else gray)
    weights = [[10.0, 0.0, -10.0], *(BACK[i % 2] for i in range(neighbors))]
    paint.set_weights([np.array(weights) / 255])
    return keras.Model(inputs if neighbors else image, keras.layers.Add(name="colored")([gray, color]))


def by_hand(image: np.ndarray, *neighbors: np.ndarray) -> np.ndarray:
    """The colored image (h, w, 3) uint8 of an image and the luma (h, w) of its neighbors."""
    weights = np.array([0.299, 0.587, 0.114])
    gray = image.astype("float64") @ weights
    color = gray[..., None] / 255 * [10.0, 0.0, -10.0]
    for i, plane in enumerate(neighbors):
        color = color + plane[..., None] / 255 * BACK[i % 2]
    return np.clip(np.rint(gray[..., None] + color), 0, 255).astype("uint8")


@dataclass(frozen=True)
class Coloring:
    """A stand-in for the task colorization."""

    name: ClassVar[str] = "colorization"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "error"
    draws: ClassVar[bool] = True
    labels: ClassVar[None] = None
    default_size: ClassVar[int] = 64

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels) -> Self:
        return cls()

    def facts(self, model) -> dict:
        return {}

    def check(self, model) -> keras.Model:
        return model

    def functions(self, model) -> dict[str, Callable]:
        import tensorflow as tf

        specs = [tf.TensorSpec(one.shape, tf.float32, name=one.name) for one in model.inputs]

        def image_alone(image):
            return {"colored": model(image, training=False)}

        def both(image, neighbors):
            return {"colored": model({"image": image, "neighbors": neighbors}, training=False)}

        return {"predict": tf.function(both if len(specs) > 1 else image_alone, specs, autograph=False)}

    def signatures(self, model, functions) -> dict[str, Callable]:
        import tensorflow as tf

        def serve_bytes(image_bytes):
            return {"valid": tf.fill(tf.shape(image_bytes), False)}

        served = tf.function(serve_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
        return {"serving_default": functions["predict"], "predict": functions["predict"], "serve_bytes": served}

    def cases(self, model, images=None) -> list[Case]:
        random = np.random.default_rng(0)
        given = {one.name: random.uniform(0, 255, (1, 40, 56, one.shape[3])).astype("float32") for one in model.inputs}
        colored = ops.convert_to_numpy(model(given if len(given) > 1 else given["image"], training=False))
        files = np.array([png(given["image"][0].astype("uint8"))], dtype=object)
        return [Case("predict", given, {"colored": colored}), Case("serve_bytes", {"image_bytes": files}, {})]

    def differences(self, outputs, expected, *, kind) -> list[str]:
        if "colored" not in outputs:
            return []
        error = np.abs(outputs["colored"] - expected["colored"]).max()
        return [] if error < 1e-2 else [f"colors differ by {error}"]

    def read(self, content, size):
        return pillow.decode(content)

    def decode(self, outputs, content) -> Answer:
        return Answer({}, [Picture(np.asarray(outputs["colored"]).astype("uint8"))])

    def measure(self, predicts, dataset):
        raise NotImplementedError

    def card(self, model) -> CardText:
        return CardText("A coloring.", "Error:", "Give it an image.")
