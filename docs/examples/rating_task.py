"""An example of a new task: rates images in [0, 1]. The script exports, checks and runs a model with this task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np

import kvision as kv
from kvision import tasks
from kvision.export import Answer, CardText, Case
from kvision.pixels import graph, pillow
from kvision.tasks.opened import open_model
from kvision.tasks.parts import png


@dataclass(frozen=True)
class Rating:
    """A rating in [0, 1] for each image.

    Attributes:
        meaning: A word that tells users what is rated.
    """

    name: ClassVar[str] = "rating"
    tflite: ClassVar[tuple[str, ...]] = ("float32",)
    score: ClassVar[str] = "mean_error"
    draws: ClassVar[bool] = False
    labels: ClassVar[None] = None
    default_size: ClassVar[None] = None

    meaning: str = "quality"

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], labels: Sequence[str] | None) -> Self:
        """Builds the task from `task.json`, which anyone may have written."""
        return cls(str(facts["meaning"])[:100])

    def facts(self, model: keras.Model) -> dict[str, Any]:
        """Returns the facts that `from_facts` needs."""
        return {"meaning": self.meaning}

    def check(self, model: keras.Model) -> keras.Model:
        """Returns the model, if it gives one number for each image."""
        if model.output_shape != (None, 1):
            raise ValueError(f"`model` must give one rating an image, (batch, 1), but gives {model.output_shape}")
        return model

    def functions(self, model: keras.Model) -> dict[str, Callable]:
        """Returns `predict`, from which the TFLite model is converted."""
        import tensorflow as tf

        spec = tf.TensorSpec(model.input_shape, tf.float32, name="image")
        call = tf.function(lambda image: {"rating": model(image, training=False)}, [spec], autograph=False)
        return {"predict": call}

    def signatures(self, model: keras.Model, functions: Mapping[str, Callable]) -> dict[str, Callable]:
        """Returns the signatures of the SavedModel."""
        import tensorflow as tf

        def serve_bytes(image_bytes):
            image, valid = graph.try_load(image_bytes, model.input_shape[1])
            return {**functions["predict"](tf.cast(image, tf.float32)), "valid": valid}

        spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
        served = tf.function(serve_bytes, [spec], autograph=False)
        return {"serving_default": functions["predict"], "predict": functions["predict"], "serve_bytes": served}

    def cases(self, model: keras.Model, images: Sequence[np.ndarray] | None = None) -> list[Case]:
        """Returns a call of each signature with the answer of the Keras model."""
        noise = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:])).astype("uint8")
        chosen = noise if images is None else images
        pixels, files = np.asarray(chosen, "float32"), np.array([png(image) for image in chosen], dtype=object)
        expected = {"rating": model.predict_on_batch(pixels)}
        return [Case("predict", {"image": pixels}, expected), Case("serve_bytes", {"image_bytes": files}, expected)]

    def differences(self, outputs: Mapping, expected: Mapping, *, kind: str) -> list[str]:
        """Returns one line if the ratings of the exported file and the Keras model differ."""
        error = np.abs(outputs["rating"] - expected["rating"]).max()
        return [] if error < 1e-4 else [f"rating differs by {error:.1e}"]

    def read(self, content: bytes, size: int | None) -> np.ndarray:
        """Returns the image of a file in the form that the network takes."""
        return pillow.load(content, size)

    def decode(self, outputs: Mapping[str, np.ndarray], content: bytes) -> Answer:
        """Returns the rating of one image as a row of a table."""
        return Answer({self.meaning: round(float(outputs["rating"][0]), 3)})

    def measure(self, predicts: Mapping[str, Callable], dataset: Any) -> dict[str, dict]:
        """Returns no measurements, because this task writes only one file."""
        return {}

    def card(self, model: keras.Model) -> CardText:
        """Returns the task's part of the model card."""
        return CardText(f"A rating of {self.meaning}.", "Mean error:", "`predict`: image to rating in [0, 1].")


tasks.TASKS[Rating.name] = Rating  # inside kvision: a line in kvision/tasks/__init__.py

image = keras.Input((32, 32, 3), name="image")
features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(image / 255))
rating = keras.layers.Dense(1, activation="sigmoid")(features)
version = kv.export.write(keras.Model(image, rating), "models", task=Rating("sharpness"))

photograph = png(np.full((40, 50, 3), 128, "uint8"))
(answer,) = open_model(Path(version)).answers([photograph])
print(answer.row)
