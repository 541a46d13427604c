"""The model card: a page of Markdown that is exported with a model."""

import hashlib
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from kvision.export import quantize
from kvision.export.task import Task

if TYPE_CHECKING:
    import keras

__all__ = ["checksum", "model_card"]


def checksum(model: "keras.Model") -> str:
    """Computes the SHA-256 of all weights of a model: shape, dtype and bytes, in the order of `get_weights()`.

    Args:
        model: A built model. The names of its layers do not change the result.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> len(kv.export.checksum(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])))
        64
    """
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(f"{weight.shape}{weight.dtype}".encode())
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def model_card(
    model: "keras.Model",
    task: Task,
    *,
    data: str,
    command: str,
    results: dict[str, dict],
    best: str,
    tflite: Mapping[str, dict] | None = None,
) -> str:
    """Returns a model card in Markdown. The card describes the model, its scores, its data, and how to call it.

    Args:
        model: The model that is exported.
        task: The task of the model.
        data: A description of the training and test images, in one line.
        command: The command that trained the model.
        results: A dictionary for each trained model, by the name of the model. It holds the score under the name
            `task.score`, and `interval`, a pair of numbers.
        best: The name of the exported model in `results`.
        tflite: A dictionary for each TFLite model, by its kind. It holds `megabytes`, `milliseconds`, the score,
            `interval`, `agreement` and `images`. If None, the default, the card has no table of TFLite models.

    Returns:
        The text of the card.

    Example:
        >>> x = keras.layers.Flatten()(image := keras.Input((8, 8, 3), name="image"))
        >>> model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x), name="pets")
        >>> task = kv.tasks.Classification(["cat", "dog"])
        >>> results = {"linear": {"accuracy": 0.9, "interval": (0.85, 0.94)}}
        >>> card = kv.export.model_card(model, task, data="pets", command="", results=results, best="linear")
        >>> card.splitlines()[2]
        'An image classifier of 2 classes: cat, dog.'
    """
    rows = "\n".join(
        f"| {name}{' (this model)' if name == best else ''} | {r[task.score]:.4f} | "
        f"{r['interval'][0]:.4f} - {r['interval'][1]:.4f} |"
        for name, r in results.items()
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("kvision", "keras", "tensorflow"))
    text = task.card(model)
    return f"""# {model.name}

{text.summary}

## Numbers
{text.score}

| model | {task.score.replace("_", " ")} | interval |
|---|---|---|
{rows}

## Data
{data}

## Use
{text.use}
{_tflite_table(tflite or {}, task.score)}
## Origin
Command: `{command}`
Versions: {versions}
SHA-256 of all weights: `{checksum(model)}`
"""


def _tflite_table(table: Mapping[str, dict], score: str) -> str:
    if not table:
        return ""
    rows = "\n".join(
        f"| {quantize.file_name(kind)} | {r[score]:.4f} | {r['interval'][0]:.4f} - {r['interval'][1]:.4f} | "
        f"{r['agreement']:.4f} | {r['megabytes']:.2f} | {r['milliseconds']:.2f} |"
        for kind, r in table.items()
    )
    return f"""
TFLite models: float16 stores the weights in half the bytes, int8 computes all but the last layer in 8 bits. They were
measured on {next(iter(table.values()))["images"]} test images. "As float32" is the share of images with the same
answer as float32. "ms" is the median time for one image on 2 threads of the exporting machine.

| file | {score.replace("_", " ")} | interval | as float32 | MB | ms |
|---|---|---|---|---|---|
{rows}
"""
