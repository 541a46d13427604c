"""Runs the exported files on given inputs, in a fresh process, and writes their outputs to a file.

Run: python -m kvision.export.rerun FOLDER INPUTS.npz OUTPUTS.npz

The process imports TensorFlow at once, and works while the exporting process continues. The exporting process writes
one line to its standard input when the SavedModel is complete, and a second line when the TFLite models are complete.
"""

import sys
from pathlib import Path

import numpy as np

from kvision import npz
from kvision.export import quantize
from kvision.export.alone import import_tensorflow
from kvision.export.litert import Runner
from kvision.export.task import Arrays

__all__ = ["pack", "unpack"]

_SEPARATOR = "|"  # in the names of arrays: FILE|CALL|SIGNATURE|NAME


def pack(calls: dict[str, Arrays]) -> dict[str, np.ndarray]:
    """Gathers the arrays of several calls for one `.npz` file.

    Args:
        calls: The inputs or outputs of each call, by call and by name. Arrays of `bytes` are stored as hexadecimal
            digits, because NumPy would pickle them.

    Returns:
        The arrays by name.
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
    """Returns the calls that were given to `pack`."""
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
        # A second call shows whether the outputs are random. In Keras' own export they are random if Random* layers are
        # on.
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
                others = {name: rows for name, rows in inputs.items() if name != "image"}
                found[f"{kind}|{call}|{path.name}"] = runner(inputs["image"], **others)
    return found


def _files(folder: Path) -> dict[str, Path]:
    """Returns the TFLite models of a version by their kind. float32 must exist."""
    paths = {kind: folder / "assets.extra" / quantize.file_name(kind) for kind in quantize.ALL}
    return {kind: path for kind, path in paths.items() if kind == "float32" or path.exists()}


def _main(folder: Path, inputs: Path, outputs: Path) -> None:
    import_tensorflow()  # This takes seconds. Meanwhile the exporting process writes the files.
    found = {}
    for run in (_saved_model, _tflite):
        if not sys.stdin.readline():
            raise SystemExit("the export was not finished")
        found |= run(folder, unpack(npz.read(inputs, stored=True)))
    np.savez(outputs, **pack(found))


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:]))
