"""Runs the files of an export in this, fresh, process on given inputs, and writes down what they answer.

Run: python -m kvision.export.rerun FOLDER INPUTS.npz OUTPUTS.npz

The process imports TensorFlow at once. It runs the SavedModel when a line on its standard input says that it is
written, and the TFLite models at the second line, so that the exporting process can go on meanwhile.
"""

import sys
from pathlib import Path

import numpy as np

from kvision import npz
from kvision.export import quantize
from kvision.export.alone import import_tensorflow
from kvision.export.litert import Runner
from kvision.export.task import Arrays
from kvision.export.tflite_metadata import LABELS, TASK

__all__ = ["other_texts", "pack", "unpack"]

_SEPARATOR = "|"  # in the names of arrays: FILE|CALL|SIGNATURE|NAME


def pack(calls: dict[str, Arrays]) -> dict[str, np.ndarray]:
    """Returns arrays by name for an `.npz` file. Arrays of `bytes` become hexadecimal digits, since NumPy pickles them.

    Args:
        calls: Inputs or outputs by name, for each call.
    """
    packed = {}
    for call, arrays in calls.items():
        for name, value in arrays.items():
            value = np.asarray(value)
            if value.dtype == object:
                value = np.array([row.hex() for row in value.tolist()], dtype=np.str_)
            packed[f"{call}{_SEPARATOR}{name}"] = value
    return packed


def unpack(arrays: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """Returns what was given to `pack`."""
    calls: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays.items():
        call, name = key.rsplit(_SEPARATOR, 1)
        if value.dtype.kind == "U":
            value = np.array([bytes.fromhex(text) for text in value.tolist()], dtype=object)
        calls.setdefault(call, {})[name] = value
    return calls


def _saved_model(folder: Path, calls: dict[str, Arrays]) -> dict[str, Arrays]:
    import tensorflow as tf

    loaded, found = tf.saved_model.load(str(folder)), {}
    for call, inputs in calls.items():
        signature = call.split(_SEPARATOR)[1]
        tensors = {
            name: tf.constant(value.tolist() if value.dtype == object else value) for name, value in inputs.items()
        }
        # A second call shows whether answers are random, as those of Keras' own export are.
        names = ("predict", "predict", "serving_default") if signature == "predict" else (signature,)
        for time, name in enumerate(names):
            outputs = loaded.signatures[name](**tensors)
            label = f"{name}, once more" if time == 1 else name
            found[f"saved_model|{call}|{label}"] = {key: value.numpy() for key, value in outputs.items()}
    return found


def _tflite(folder: Path, calls: dict[str, Arrays]) -> dict[str, Arrays]:
    found = {}
    for kind, path in _files(folder).items():
        runner = Runner(path)
        for call, inputs in calls.items():
            if call.split(_SEPARATOR)[1] == runner.signature:
                found[f"{kind}|{call}|{path.name}"] = runner(inputs["image"])
    return found


def other_texts(folder: Path) -> list[str]:
    """Returns a line for each TFLite model whose class names or task are others than those of the version."""
    problems, extra = [], folder / "assets.extra"
    for kind, path in _files(folder).items():
        runner = Runner(path)
        inside = {LABELS: runner.labels and "\n".join(runner.labels), TASK: runner.facts}
        for name, text in inside.items():
            beside = (extra / name).read_text(encoding="utf-8").rstrip("\n") if (extra / name).exists() else None
            if kind != quantize.FEATURES and text != beside:
                problems.append(f"{path.name}: other than {name} beside it")
    return problems


def _files(folder: Path) -> dict[str, Path]:
    """The TFLite models of a version by their kind; float32 must be there."""
    paths = {kind: folder / "assets.extra" / quantize.file_name(kind) for kind in quantize.ALL}
    return {kind: path for kind, path in paths.items() if kind == "float32" or path.exists()}


def _main(folder: Path, inputs: Path, outputs: Path) -> str:
    import_tensorflow()  # This takes seconds, in which the files are still being written.
    found = {}
    for run in (_saved_model, _tflite):
        if not sys.stdin.readline():
            return "the export was not written to its end"
        found |= run(folder, unpack(npz.read(inputs, stored=True)))
    np.savez(outputs, **pack(found))
    return "\n".join(other_texts(folder))


if __name__ == "__main__":
    problem = _main(*map(Path, sys.argv[1:]))
    print(problem)
    raise SystemExit(bool(problem))
