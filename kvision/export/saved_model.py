"""A Keras model as a new version for TF Serving, with TFLite models beside it."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import atomic, checks
from kvision.export import quantize, tflite_metadata, versions, warmup
from kvision.export.plain_path import plain_path
from kvision.export.reloaded import checked
from kvision.export.task import Case, Task
from kvision.quiet import quiet
from kvision.raw_pixels import RawPixels

if TYPE_CHECKING:  # `kvision predict` reads this package without importing Keras
    import keras

__all__ = ["write", "write_tflite"]

_HALVES = ("float16", "bfloat16")


def write(
    model: "keras.Model",
    folder: str | Path,
    *,
    task: Task,
    card: str | Callable[[Path], str] | None = None,
    probe: Sequence[np.ndarray] | np.ndarray | None = None,
    tflite: Sequence[str] = ("float32",),
    representatives: np.ndarray | None = None,
) -> Path:
    """Writes a model as the next version `folder/<n>/`, in TF Serving's layout.

    The version holds a SavedModel, and in `assets.extra/` TFLite models, `labels.txt`, `task.json`, `model_card.md`
    and TF Serving's warm-up requests. It needs neither kvision nor Keras. A fresh process runs all files and compares
    them with `model` before the version appears. If they differ, or the process is killed, there is no version.

    A TFLite model has one signature with one output, and takes and gives float32: `predict` in `model.tflite`, `embed`
    in `features.tflite`.

    Args:
        model: A model whose input `image` takes RGB in [0, 255].
        folder: Where the versions are.
        task: What the model answers, such as `kv.tasks.Classification(labels)`. It says which models it takes.
        card: Markdown, or a function that returns it and is given the folder of the checked TFLite models.
        probe: A few images, uint8, on which the files are compared with the model. Defaults to seeded noise.
        tflite: TFLite models to write. "float32" (`model.tflite`) is always written. "float16" stores weights in half
            the bytes, "int8" all but the last layer in a quarter. "features" is `features.tflite`.
        representatives: For int8, some hundred training images `(count, size, size, 3)` in [0, 255].

    Returns:
        The version's folder.

    Raises:
        kvision.UserError: If the model or its labels are not what the task exports, if representatives do not fit the
            model, or if a kind of TFLite model is not known or not one of the task's.
        RuntimeError: If the exported files do not answer as the model does.

    Example:
        >>> import keras, kvision as kv
        >>> image = keras.Input((32, 32, 3), name="image")
        >>> x = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(image))
        >>> model = keras.Model(image, x)
        >>> version = kv.export.write(model, folder, task=kv.tasks.Classification(["cat", "dog"]))
    """
    _check(model)
    kinds = quantize.check(tflite)
    for kind in kinds:
        checks.one_of("tflite", kind, task.tflite, problem=f"is not written for {task.name}")
    model = task.check(model)
    if "int8" in kinds:
        _check_representatives(model, representatives)
    texts = {tflite_metadata.TASK: json.dumps({"task": task.name, **task.facts(model)})}
    if task.labels is not None:
        texts[tflite_metadata.LABELS] = "\n".join(task.labels)
    folder, target = Path(folder), Path()

    def next_version() -> Path:
        nonlocal target
        target = folder / str(max(versions.numbers(folder), default=0) + 1)
        return target

    with atomic.folder(next_version) as made, plain_path(made) as temporary:
        extra = temporary / "assets.extra"
        extra.mkdir()
        with checked(model, temporary, task, probe) as (cases, is_written):
            functions = task.functions(model)
            _write_saved_model(model, task.signatures(model, functions), temporary)
            is_written()
            for kind in kinds:
                write_tflite(functions, extra, kind, texts, representatives, side=task.default_size)
            for name, text in texts.items():
                (extra / name).write_text(text + "\n", encoding="utf-8")
            is_written()
            warmup.write(temporary, _requests(cases))
        if card is not None:  # after the other process, beside which nothing can be timed
            text = card if isinstance(card, str) else card(extra)
            (extra / "model_card.md").write_text(text, encoding="utf-8", errors="backslashreplace")  # paths in it
    return target


def _requests(cases: Sequence[Case]) -> dict[str, dict[str, np.ndarray]]:
    """Returns a request of one image for each signature."""
    requests: dict[str, dict[str, np.ndarray]] = {}
    for case in cases:
        requests.setdefault(case.signature, {name: value[:1] for name, value in case.inputs.items()})
    return requests


def _check(model: "keras.Model") -> None:
    if half := next((layer for layer in model._flatten_layers() if layer.compute_dtype in _HALVES), None):
        raise checks.error(
            "model",
            problem="computes in half precision, which TFLite cannot",
            expected="layers that compute in float32",
            received=f"{half.name}: {half.compute_dtype}",
            hint='Call kv.training.mixed(model.get_layer("body"), "float32") before',
        )


def _check_representatives(model: "keras.Model", images: np.ndarray | None) -> None:
    if images is not None:
        RawPixels("representatives")(images)
    if images is None or images.shape[1:] != model.input_shape[1:] or not len(images) or not 1 < images.max() <= 255:
        raise checks.error(
            "representatives",
            problem="are needed for int8" if images is None else "",
            expected=f"training images (N, {', '.join(map(str, model.input_shape[1:]))}) in [0, 255], some hundred",
            received=None if images is None else f"{images.dtype} {images.shape}",
        )


def _write_saved_model(model: "keras.Model", functions: dict[str, Callable], folder: Path) -> None:
    import tensorflow as tf

    # not keras.export.ExportArchive: it writes every weight twice
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet():
        tf.saved_model.save(module, str(folder), signatures=functions)


def write_tflite(
    functions: Mapping[str, Callable],
    folder: Path,
    kind: str = "float32",
    texts: Mapping[str, str] | None = None,
    representatives: np.ndarray | None = None,
    *,
    side: int | None = None,
) -> Path:
    """Writes one TFLite model into `folder` and returns its path.

    Args:
        functions: `predict` and, for features, `embed`, as `Task.functions` returns them.
        folder: An existing folder.
        kind: One of `quantize.ALL`.
        texts: Texts by file name, such as the class names. Features have no classes and get none.
        representatives: Images `(count, size, size, 3)` for int8.
        side: For a model that takes any size: the size for a program that asks for none.
    """
    path, features = folder / quantize.file_name(kind), kind == quantize.FEATURES
    signature = "embed" if features else "predict"
    function = functions[signature].get_concrete_function()
    (output,) = function.structured_outputs
    content = quantize.convert(function, kind, representatives=representatives)
    inside = {} if features or texts is None else texts
    tflite_metadata.write(path, content, signature=signature, output=output, texts=inside, side=side)
    return path
