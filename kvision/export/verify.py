"""Loads an export in this, fresh, process and compares it with the numbers that the Keras model gave.

Run: python -m kvision.export.verify FOLDER PROBE.npz        (exit status 1 and a list of what differs)

With --wait behind these the process gets ready, and looks at the SavedModel and at the TFLite file when a line on its
standard input says that they are written: whoever exports goes on meanwhile.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kvision import npz
from kvision.export.alone import import_tensorflow
from kvision.export.classifier import EQUAL, ROUNDINGS

__all__ = ["verify"]

# the largest difference that counts as equal; int8 is an approximation, whose worth only held-out images can tell
_TOLERANCES = {"float32": EQUAL, "features": EQUAL, "float16": 0.1, "int8": np.inf}
_WRONG = 0.001  # of a mask's pixels that are no near ties


def verify(folder: Path, probe: dict[str, np.ndarray]) -> list[str]:
    """Compares the files of an export with what its Keras model answered.

    Equal means within 1e-4, features relative to the largest. A float16 file may differ by .1 in the median of the
    images, an int8 file has to be finite. A network whose features move further than 1e-4 where pixels differ in their
    last bit (EfficientNetV2L without weights: by 64 %) is compared within three times as much.

    Args:
        folder: A version folder.
        probe: `image` `(count, size, size, 3)` uint8, the same as `png` `(count,)` in hexadecimal digits, the Keras
            model's `probabilities` and `feature`, and `slack`: how far its features move. For a label for each pixel:
            `image_0` `(height, width, 3)`, `png_0`, `probabilities_0` `(1, height, width, classes)`, `image_1` ...

    Returns:
        A line for each difference; empty if there is none.
    """
    return [*_saved_model(folder, probe), *_tflite(folder, probe)]


def _saved_model(folder: Path, probe: dict[str, np.ndarray]) -> list[str]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    signatures = loaded.signatures
    if "image_0" in probe:
        return _masks(signatures, probe)
    image = probe["image"].astype("float32")
    png = tf.constant([bytes.fromhex(text) for text in probe["png"].tolist()])
    calls: dict[str, Callable[[], dict]] = {
        "predict": lambda: signatures["predict"](image=tf.constant(image)),
        "predict, once more": lambda: signatures["predict"](image=tf.constant(image)),
        "serving_default": lambda: signatures["serving_default"](image=tf.constant(image)),
        "serve_bytes": lambda: signatures["serve_bytes"](image_bytes=png),
        "embed": lambda: signatures["embed"](image=tf.constant(image)),
    }
    return _compare(calls, probe)


def _tflite(folder: Path, probe: dict[str, np.ndarray]) -> list[str]:
    from kvision.export import quantize
    from kvision.export.litert import Runner

    labels, problems = folder / "assets.extra" / "labels.txt", []
    names = labels.read_text(encoding="utf-8").rstrip("\n").split("\n") if labels.exists() else None
    for kind in quantize.ALL:
        path = folder / "assets.extra" / quantize.file_name(kind)
        if kind != "float32" and not path.exists():
            continue
        lite = Runner(path)
        if "image_0" in probe:
            problems += _labels(path.name, lite, probe)
        else:
            problems += _compare({path.name: lambda lite=lite: lite(probe["image"])}, probe, kind)
        if kind != quantize.FEATURES:
            problems += _other_names(path.name, names, lite.labels)
    return problems


def _other_names(file: str, names: list[str] | None, inside: list[str] | None) -> list[str]:
    return [f"{file}: other class names than labels.txt"] if names is not None and names != inside else []


def _masks(signatures, probe: dict[str, np.ndarray]) -> list[str]:
    """What a SavedModel with a label for each pixel says of images of several sizes, alone and, as bytes, together."""
    import tensorflow as tf

    problems = []
    for name in ("predict", "serving_default"):
        problems += _labels(name, lambda image, name=name: signatures[name](image=tf.constant(image)), probe)
    numbers = [key.removeprefix("image_") for key in probe if key.startswith("image_")]
    png = tf.constant([bytes.fromhex(str(probe[f"png_{n}"])) for n in numbers])
    answer = signatures["serve_bytes"](image_bytes=png)
    for n, mask, valid in zip(numbers, answer["mask_bytes"].numpy(), answer["valid"].numpy(), strict=True):
        if not valid:
            problems.append("serve_bytes: an image was not decoded")
            continue
        labels, sure = tf.io.decode_png(mask).numpy()[..., 0], probe[f"sure_{n}"]
        if labels.shape != sure.shape:
            problems.append("serve_bytes: a mask has another size than its image")
        elif (wrong := float((labels != probe[f"labels_{n}"])[sure].mean()) if sure.any() else 0.0) > _WRONG:
            problems.append(f"serve_bytes: {wrong:.1%} of a mask's sure pixels are others than the model's")
    return problems


def _labels(name: str, call: Callable, probe: dict[str, np.ndarray]) -> list[str]:
    problems = []
    for key in (key for key in probe if key.startswith("image_")):
        outputs = {k: np.asarray(value) for k, value in call(probe[key][None].astype("float32")).items()}
        expected, found = probe[key.replace("image", "probabilities")], outputs["probabilities"]
        if found.shape != expected.shape:
            problems.append(f"{name}: probabilities {found.shape}, expected {expected.shape}")
            continue
        if "label" in outputs and not np.array_equal(outputs["label"], found.argmax(axis=3)):
            problems.append(f"{name}: label is not the most probable class")
        error = float(np.abs(found - expected).max())
        if not error <= _TOLERANCES["float32"]:
            problems.append(f"{name}: probabilities differ by {error:.2e} for an image {expected.shape[1:3]}")
    return problems


def _compare(calls: dict[str, Callable[[], dict]], probe: dict[str, np.ndarray], kind: str = "float32") -> list[str]:
    problems, slack = [], float(probe["slack"])
    tolerance = max(_TOLERANCES[kind], ROUNDINGS * slack if slack > EQUAL else 0.0)
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
        errors = np.abs(outputs[key] - expected).max(axis=1) / scale
        # float16 moves features by 1 % at most, which may turn the vote of a neighbor or a tree for one image
        error = float(np.median(errors) if kind == "float16" else errors.max())
        if not error <= tolerance or not np.isfinite(outputs[key]).all():
            problems.append(f"{name}: {key} differs by {error:.2e}")
    return problems


def _when_told(folder: Path, probe: Path) -> list[str]:
    import_tensorflow()  # takes seconds, in which what is looked at is still being written
    problems = []
    for look in (_saved_model, _tflite):
        if not sys.stdin.readline():
            return ["the export was not written to its end"]
        problems += look(folder, npz.read(probe, stored=True))
    return problems


if __name__ == "__main__":
    where, given = Path(sys.argv[1]), Path(sys.argv[2])
    found = _when_told(where, given) if "--wait" in sys.argv[3:] else verify(where, npz.read(given, stored=True))
    print("\n".join(found))
    raise SystemExit(bool(found))
