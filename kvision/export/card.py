"""The page that travels with a model."""

import hashlib
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from kvision.export import quantize
from kvision.pixels import MAX_PIXELS

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
    *,
    data: str,
    command: str,
    results: dict[str, dict],
    best: str,
    labels: list[str],
    tflite: Mapping[str, dict] | None = None,
    score: str = "accuracy",
) -> str:
    """Markdown: what the model is, what it was made of, its numbers, how to call it.

    results: {name: {score: a, "interval": [lo, hi], ...}}; best: the name that was exported. score: "accuracy", or
    "mean_iou" of a model with a label for each pixel.
    tflite: {kind: {"megabytes", "milliseconds", "accuracy", "interval", "agreement", "images"}}, as measured.
    """
    dense = len(model.output_shape) == 4
    rows = "\n".join(
        f"| {name}{' (this model)' if name == best else ''} | {r[score]:.4f} | "
        f"{r['interval'][0]:.4f} - {r['interval'][1]:.4f} |"
        for name, r in results.items()
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("kvision", "keras", "tensorflow"))
    measured = (
        "Mean intersection over union of the classes, on held-out images, read once, with 95 % interval (bootstrap"
        " over images):"
        if dense
        else "Accuracy on held-out images, read once, with 95 % interval (Wilson):"
    )
    kind = "A network with a label for each pixel," if dense else "An image classifier"
    return f"""# {model.name}

{kind} of {len(labels)} classes: {", ".join(labels)}.

## Numbers
{measured}

| {"decoder" if dense else "head"} | {score.replace("_", " ")} | interval |
|---|---|---|
{rows}

## Data
{data}

## Use
{_use_of_masks(len(labels)) if dense else _use(model.input_shape[1], len(labels))}{_note(model)}
{_tflite_table(tflite or {})}
## Origin
Command: `{command}`
Versions: {versions}
SHA-256 of all weights: `{checksum(model)}`
"""


def _note(model: "keras.Model") -> str:
    """What the head says about its outputs (`kvision.layers.Chain`)."""
    note = getattr(model.layers[-1], "note", "")
    return f"\n\n{note}" if note else ""


def _use(side: int, classes: int) -> str:
    return f"""\
`image`: float32 (batch, {side}, {side}, 3), RGB in [0, 255], resized by antialiased bilinear interpolation, aspect not
kept. `image_bytes`: encoded JPEG, PNG, GIF, BMP or WebP, decoded and resized
inside (EXIF orientation applied, alpha over white, an animation's first frame, at most {MAX_PIXELS:,} pixels).

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, {classes}), label (batch,) index into labels.txt |
| serve_bytes | image_bytes | probabilities, label, valid (batch,): false where an image could not be decoded |
| embed | image | feature |

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names."""


def _use_of_masks(classes: int) -> str:
    return f"""\
`image`: float32 (batch, height, width, 3), RGB in [0, 255], of any size. `image_bytes`: encoded JPEG, PNG, GIF, BMP
or WebP (EXIF orientation applied, alpha over white, an animation's first frame, at most {MAX_PIXELS:,} pixels); larger
ones than the longest side in labels.json are made smaller for the network, and its probabilities enlarged back.

| signature | input | outputs |
|---|---|---|
| predict, serving_default | image | probabilities (batch, height, width, {classes}), label (batch, height, width) |
| serve_bytes | image_bytes | mask_bytes (batch,): PNGs of labels in the images' sizes; valid (batch,) |

`valid` is false, and the mask empty, where an image could not be decoded.

`model.tflite` beside this file has the signature predict with the output probabilities, built-in operations only, and
TFLite metadata with the class names; labels.json is packed into it."""


def _tflite_table(table: Mapping[str, dict]) -> str:
    if not table:
        return ""
    rows = "\n".join(
        f"| {quantize.file_name(kind)} | {r['accuracy']:.4f} | {r['interval'][0]:.4f} - {r['interval'][1]:.4f} | "
        f"{r['agreement']:.4f} | {r['megabytes']:.2f} | {r['milliseconds']:.2f} |"
        for kind, r in table.items()
    )
    return f"""
Smaller files: float16 holds its weights in half the bytes, int8 computes all but the last layer in 8 bits. On
{next(iter(table.values()))["images"]} held-out images, with the share answered as float32 answers; milliseconds for one
image on 2 threads of the machine that exported (median):

| file | accuracy | interval | as float32 | MB | ms |
|---|---|---|---|---|---|
{rows}
"""
