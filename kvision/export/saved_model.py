"""Writes a Keras model as a new version for TF Serving, together with TFLite models."""

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

if TYPE_CHECKING:  # `kvision predict` imports this package without importing Keras
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
    """Writes a model as the next version `folder/<n>/`, in the layout of TF Serving.

    The version holds a SavedModel. Its folder `assets.extra/` holds TFLite models, `labels.txt`, `task.json`,
    `model_card.md` and warm-up requests for TF Serving. The files need neither kvision nor Keras. Before the version
    appears, a fresh process runs all files, and their outputs are compared with the outputs of `model`. If they differ,
    or if the process is killed, no version appears.

    A TFLite model has one signature with one float32 output: `predict` in `model.tflite`, `embed` in `features.tflite`.

    Args:
        model: A model with an input `image` that takes RGB in [0, 255]. The task defines the allowed outputs.
        folder: The folder of all versions. It is created if it does not exist.
        task: The task of the model, such as `kv.tasks.Classification(labels)`.
        card: The model card in Markdown, or a function that takes the folder of the TFLite models and returns the card.
            If None, the default, no card is written.
        probe: A few uint8 images for the comparison of the files with the model. Defaults to noise from a fixed seed.
        tflite: Kinds of TFLite models to write. `"float32"` (`model.tflite`) is always written. `"float16"` stores
            weights in half the bytes. `"int8"` stores all layers except the last one in a quarter of the bytes.
            `"features"` writes `features.tflite`, which returns feature vectors.
        representatives: A few hundred training images `(count, size, size, 3)` in [0, 255]. Required for int8, which
            measures the range of each activation on them.

    Returns:
        The folder of the version.

    Raises:
        UserError: If the task cannot export the model or its labels, if the representatives do not fit the model, or if
            the task cannot be written as a TFLite model of one of the kinds.
        RuntimeError: If the outputs of the exported files differ from the outputs of the model.

    Example:
        >>> x = keras.layers.Flatten()(image := keras.Input((32, 32, 3), name="image"))
        >>> model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
        >>> task = kv.tasks.Classification(["cat", "dog"])
        >>> kv.export.write(model, "saved_models/pets", task=task)  # doctest: +SKIP
        PosixPath('saved_models/pets/1')
    """
    _check(model)
    kinds = quantize.check(tflite)
    for kind in kinds:
        checks.one_of("tflite", kind, task.tflite, problem=f"is not available for {task.name}")
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
        if card is not None:  # The card may measure times, so the process that runs the files has to end first.
            text = card if isinstance(card, str) else card(extra)
            # A card may contain a file name that is not UTF-8.
            (extra / "model_card.md").write_text(text, encoding="utf-8", errors="backslashreplace")
    return target


def _requests(cases: Sequence[Case]) -> dict[str, dict[str, np.ndarray]]:
    """Returns a request of one image for each signature."""
    requests: dict[str, dict[str, np.ndarray]] = {}
    for case in cases:
        requests.setdefault(case.signature, {name: value[:1] for name, value in case.inputs.items()})
    return requests


def _check(model: "keras.Model") -> None:
    if half := next((layer for layer in model._flatten_layers() if layer.compute_dtype in _HALVES), None):
        raise checks.UserError(
            "model",
            problem="computes in half precision, which TFLite does not support",
            expected="layers that compute in float32",
            received=f"{half.name}: {half.compute_dtype}",
            hint='Call kv.training.mixed(model.get_layer("body"), "float32") first',
        )


def _check_representatives(model: "keras.Model", images: np.ndarray | None) -> None:
    if images is not None:
        RawPixels("representatives")(images)
    if images is None or images.shape[1:] != model.input_shape[1:] or not len(images) or not 1 < images.max() <= 255:
        raise checks.UserError(
            "representatives",
            problem="are needed for int8" if images is None else "",
            expected=f"a few hundred training images (N, {', '.join(map(str, model.input_shape[1:]))}) in [0, 255]",
            received=None if images is None else f"{images.dtype} {images.shape}",
        )


def _write_saved_model(model: "keras.Model", functions: dict[str, Callable], folder: Path) -> None:
    import tensorflow as tf

    # keras.export.ExportArchive is not used, because it would write every weight twice.
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
    """Writes one TFLite model.

    Args:
        functions: `predict` and, for features, `embed`, in the form that `Task.functions` returns.
        folder: An existing folder.
        kind: One of `quantize.ALL`.
        texts: Texts by file name, such as the class names. A model of features gets no texts.
        representatives: Images `(count, size, size, 3)` for int8.
        side: For a model that takes images of any size: the height and width for programs that do not choose a size.

    Returns:
        The path of the file.
    """
    path, features = folder / quantize.file_name(kind), kind == quantize.FEATURES
    signature = "embed" if features else "predict"
    function = functions[signature].get_concrete_function()
    (output,) = function.structured_outputs
    content = quantize.convert(function, kind, representatives=representatives)
    inside = {} if features or texts is None else texts
    tflite_metadata.write(path, content, signature=signature, output=output, texts=inside, side=side)
    return path
