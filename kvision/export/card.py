"""The page that travels with a model."""

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
    """SHA-256 over all weights of a model, in their order: shape, dtype, bytes."""
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
    """Writes what the model is, what it was trained on, its numbers, and how to call it, in Markdown.

    Args:
        model: The model that is exported.
        task: What it answers.
        data: The training and test images, in a line.
        command: The command that trained it.
        results: For each trained model the task's score and its "interval".
        best: The name in `results` that is exported.
        tflite: For each kind of TFLite model its "megabytes", "milliseconds", score, "interval", "agreement" and
            "images", if they were measured.
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
TFLite models: float16 stores its weights in half the bytes, int8 computes all but the last layer in 8 bits. They were
measured on {next(iter(table.values()))["images"]} test images. "As float32" is the share of the same answers as
float32's; milliseconds are the median for one image on 2 threads of the exporting machine.

| file | {score.replace("_", " ")} | interval | as float32 | MB | ms |
|---|---|---|---|---|---|
{rows}
"""
