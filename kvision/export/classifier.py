"""A classifier as it is exported: images of one size in, a row of probabilities out."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from kvision import checks, class_names
from kvision.export import probabilities, signatures

if TYPE_CHECKING:  # `kvision predict` reads this package without importing Keras
    import keras

__all__ = [
    "EQUAL",
    "ROUNDINGS",
    "check",
    "check_labels",
    "encoded",
    "plain",
    "probe",
    "served",
    "warmup",
    "write_probe",
]

plain = signatures.plain
EQUAL = 1e-4  # the largest difference of two runtimes that counts as none; of features, in shares of the largest
ROUNDINGS = 3  # of what one rounding moves, where that is more: so far may runtimes be from each other


def check(model: "keras.Model", labels: Sequence[str] | None) -> None:
    """UserError for a model or labels that are not exported."""
    shape = model.input_shape
    named = len(model.inputs) == 1 and model.inputs[0].name == "image"
    square = len(shape) == 4 and None not in shape[1:] and shape[1] == shape[2] and shape[3] == 3
    if not named or not square or len(model.output_shape) != 2:
        raise checks.error(
            "model",
            expected="one input `image` (B, S, S, 3) of known size and one output (B, C), or any size and (B, H, W, C)",
            received=f"{[tensor.name for tensor in model.inputs]} {shape} -> {model.output_shape}",
        )
    check_labels(labels, model.output_shape[1])


def check_labels(labels: Sequence[str] | None, classes: int) -> None:
    """Raises UserError if there is not one name for each class, or an answer could not tell the classes apart."""
    if labels is None:
        return
    if len(labels) != classes:
        raise checks.error("labels", expected=f"{classes} names", received=list(labels))
    class_names.check("labels", labels)


def served(model: "keras.Model", functions: dict[str, Callable], longest_side: int | None) -> dict[str, Callable]:
    """`signatures.served`; images have one size."""
    return signatures.served(model, functions)


def probe(model: "keras.Model", longest_side: int | None = None) -> np.ndarray:
    """(4, S, S, 3) uint8: noise to compare on, where no images are given."""
    side = model.input_shape[1]
    return np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype("uint8")


def write_probe(model: "keras.Model", images: np.ndarray, path: Path, longest_side: int | None = None) -> None:
    """What the fresh process compares with: images, the same as PNG, what the model makes of them, and by how much its
    features move (of the largest) where pixels differ in their last bit: runtimes are no nearer than that."""
    pixels = images.astype("float32")
    nudged = np.nextafter(pixels, np.float32(256))
    outputs = signatures.with_feature(model)(np.concatenate([pixels, nudged]), training=False)
    (answers, _), (feature, moved) = (np.split(np.asarray(output), 2) for output in outputs)
    probabilities.check(model, answers)
    slack = float(np.abs(moved - feature).max() / max(1.0, np.abs(feature).max()))
    if slack > EQUAL:
        text = f"'{model.name}' follows rounding: pixels that differ in their last bit move its features by {slack:.1%}"
        within = f"its export is compared within {ROUNDINGS * slack:.1%}"
        print(f"{text}. It may be untrained; {within}.", file=sys.stderr)
    png = np.array([encoded(image).hex() for image in images])
    np.savez(path, image=images, png=png, probabilities=answers, feature=feature, slack=slack)


def warmup(images: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """A request of one image for each signature."""
    image = {"image": images[:1].astype("float32")}
    image_bytes = {"image_bytes": np.array([encoded(images[0])], dtype=object)}
    return {"predict": image, "serve_bytes": image_bytes, "embed": image}


def encoded(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 -> PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
