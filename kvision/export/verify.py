"""Loads an export in this, fresh, process and compares it with the numbers that the Keras model gave.

Run: python -m kvision.export.verify FOLDER PROBE.npz        (exit status 1 and a list of what differs)
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kvision import npz

__all__ = ["verify"]

_TOLERANCE = 1e-4


def verify(folder: Path, probe: dict[str, np.ndarray]) -> list[str]:
    """What differs by more than 1e-4 (features: relative to the largest); empty if all is well.

    probe: image (N, S, S, 3) uint8, png (N,) hexadecimal strings, probabilities, feature of the Keras model.
    """
    import tensorflow as tf

    from kvision.export.litert import Runner

    loaded = tf.saved_model.load(str(folder))
    signatures = loaded.signatures
    image = probe["image"].astype("float32")
    png = tf.constant([bytes.fromhex(text) for text in probe["png"].tolist()])
    lite = Runner(folder / "assets.extra" / "model.tflite")
    calls: dict[str, Callable[[], dict]] = {
        "predict": lambda: signatures["predict"](image=tf.constant(image)),
        "predict, once more": lambda: signatures["predict"](image=tf.constant(image)),
        "serving_default": lambda: signatures["serving_default"](image=tf.constant(image)),
        "serve_bytes": lambda: signatures["serve_bytes"](image_bytes=png),
        "embed": lambda: signatures["embed"](image=tf.constant(image)),
        "model.tflite predict": lambda: lite(image),
        "model.tflite embed": lambda: lite(image, signature="embed"),
    }
    problems = []
    for name, call in calls.items():
        outputs = {key: np.asarray(value) for key, value in call().items()}
        if not np.all(outputs.get("valid", True)):
            problems.append(f"{name}: an image was not decoded")
        if "label" in outputs and not np.array_equal(outputs["label"], outputs["probabilities"].argmax(axis=1)):
            problems.append(f"{name}: label is not the most probable class")
        key = "feature" if "feature" in outputs else "probabilities"
        expected = probe[key]
        if outputs[key].shape != expected.shape:
            problems.append(f"{name}: {key} {outputs[key].shape}, expected {expected.shape}")
            continue
        scale = max(1.0, float(np.abs(expected).max())) if key == "feature" else 1.0
        error = float(np.abs(outputs[key] - expected).max()) / scale
        if not error <= _TOLERANCE:  # also where it is NaN
            problems.append(f"{name}: {key} differs by {error:.2e}")
    labels = folder / "assets.extra" / "labels.txt"
    if labels.exists() and labels.read_text(encoding="utf-8").rstrip("\n").split("\n") != lite.labels:
        problems.append("model.tflite: other class names than labels.txt")
    return problems


if __name__ == "__main__":
    found = verify(Path(sys.argv[1]), npz.read(sys.argv[2], stored=True))
    print("\n".join(found))
    raise SystemExit(bool(found))
