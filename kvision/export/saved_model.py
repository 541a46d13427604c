"""A Keras model as a new version for TF Serving, with a TFLite file beside it."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import atomic, checks, child
from kvision.export import classifier, dense, probabilities, quantize, tflite_metadata, versions, warmup
from kvision.export.plain_path import plain_path
from kvision.quiet import quiet
from kvision.raw_pixels import RawPixels

if TYPE_CHECKING:  # `kvision predict` reads this package without importing Keras
    import keras

__all__ = ["SIGNATURES", "write", "write_tflite"]

_HALVES = ("float16", "bfloat16")
SIGNATURES = ("predict", "serve_bytes", "embed")


def write(
    model: "keras.Model",
    folder: str | Path,
    *,
    labels: Sequence[str] | None = None,
    card: str | Callable[[Path], str] | None = None,
    probe: np.ndarray | Sequence[np.ndarray] | None = None,
    tflite: Sequence[str] = ("float32",),
    representatives: np.ndarray | None = None,
    longest_side: int | None = None,
    colors: Sequence[Sequence[int]] | None = None,
) -> Path:
    """Writes a model as the next version `folder/<n>/`, in TF Serving's layout, for classes of images or of pixels.

    The version holds a SavedModel, and in `assets.extra/` TFLite models, `labels.txt`, `model_card.md` and TF Serving's
    warm-up requests. It needs neither kvision nor Keras. A fresh process runs all files and compares them with `model`
    before the version appears; if they differ, or the process is killed, there is no version.

    The SavedModel has the signatures `predict` (also `serving_default`) and `embed` of `image` float32, and
    `serve_bytes` of `image_bytes`. Their outputs are `probabilities`, `label` (int32), `valid` (of `serve_bytes`) and
    `feature` (of `embed`: what the last layer reads). A TFLite model has one signature with one output: `probabilities`
    of `predict`, or `feature` of `embed` in `features.tflite`. It takes and gives float32.

    A model for classes of pixels takes images of any size. Its `serve_bytes` answers with `mask_bytes`, PNGs of labels
    in the sizes of the images, and `valid`; it has no `embed`.

    Args:
        model: Takes `image` `(batch, size, size, 3)` in [0, 255] and answers with probabilities `(batch, classes)`; or
            `(batch, None, None, 3)` and `(batch, None, None, classes)`. A single output value p, as a sigmoid gives
            it, is exported as the probabilities 1 - p and p of two classes.
        folder: Where the versions are.
        labels: Different names of the classes.
        card: Markdown, or a function that returns it and is given the folder of the checked TFLite models.
        probe: A few images `(count, size, size, 3)` uint8 to compare on. Defaults to seeded noise. For classes of
            pixels, images `(height, width, 3)` beside noise of odd sizes.
        tflite: TFLite models to write. "float32" (`model.tflite`) is always written. "float16" stores weights in half
            the bytes, "int8" all but the last layer in a quarter. "features" is `features.tflite`. Classes of pixels
            have "float32" alone.
        representatives: For int8, some hundred training images `(count, size, size, 3)` in [0, 255].
        longest_side: For classes of pixels: larger images are made smaller for the network, inside `serve_bytes` and
            by `kvision predict`. MediaPipe resizes every image to this square, or to 256 x 256 pixels if None.
        colors: For classes of pixels: an (R, G, B) for each class.

    Returns:
        The version's folder.

    Raises:
        kvision.UserError: If the model is of another kind or does not answer with probabilities, if labels or
            representatives do not fit it, or if a kind of TFLite model is not known.
    """
    _check(model)
    model = probabilities.of_two_classes(model)
    kinds = quantize.check(tflite)
    task = dense if len(model.output_shape) == 4 else classifier
    task.check(model, labels)
    if task is dense and kinds != ("float32",):
        raise checks.error(
            "tflite", expected="float32 alone, for a model with a label for each pixel", received=list(kinds)
        )
    if "int8" in kinds:
        _check_representatives(model, representatives)
    images = task.probe(model, longest_side) if probe is None else probe
    if task is dense and probe is not None:
        images = [*probe, *task.probe(model, longest_side)]  # of sizes that photographs may not have
    inside = {} if labels is None else {tflite_metadata.LABELS: "\n".join(labels)}
    if task is dense:
        inside[dense.FACTS] = dense.facts(model, longest_side, colors)
    folder, target = Path(folder), Path()

    def next_version() -> Path:
        nonlocal target
        target = folder / str(max(versions.numbers(folder), default=0) + 1)
        return target

    with atomic.folder(next_version) as made, plain_path(made) as temporary:
        extra = temporary / "assets.extra"
        extra.mkdir()
        with _verify(model, temporary, lambda path: task.write_probe(model, images, path, longest_side)) as is_written:
            functions = task.plain(model)
            _write_saved_model(model, task.served(model, functions, longest_side), temporary)
            is_written()
            for kind in kinds:
                side = (longest_side or dense.SIDE) if task is dense else None
                write_tflite(functions, extra, kind, inside, representatives, side=side)
            for name, text in inside.items():
                (extra / name).write_text(text + "\n", encoding="utf-8")
            is_written()
            warmup.write(temporary, task.warmup(images))
        if card is not None:  # after the other process, beside which nothing can be timed
            text = card if isinstance(card, str) else card(extra)
            (extra / "model_card.md").write_text(text, encoding="utf-8", errors="backslashreplace")  # paths in it
    return target


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
    inside: Mapping[str, str] | None = None,
    representatives: np.ndarray | None = None,
    *,
    side: int | None = None,
) -> Path:
    """Writes one TFLite model into `folder` and returns its path.

    Args:
        functions: `predict` and, for features, `embed`, as `signatures.plain` returns them.
        folder: An existing folder.
        kind: One of `quantize.ALL`.
        inside: Texts by file name, such as the class names. Features have no classes and get none.
        representatives: Images `(count, size, size, 3)` for int8.
        side: For a model that takes any size: the size for a program that asks for none.
    """
    path, features = folder / quantize.file_name(kind), kind == quantize.FEATURES
    signature, output = ("embed", "feature") if features else ("predict", "probabilities")
    content = quantize.convert(functions[signature], kind, representatives=representatives)
    texts = {} if features or inside is None else inside
    tflite_metadata.write(path, content, signature=signature, output=output, texts=texts, side=side)
    return path


@contextmanager
def _verify(model: "keras.Model", folder: Path, write_probe: Callable[[Path], None]) -> Iterator[Callable[[], None]]:
    """Gives a function to call when the SavedModel is written, and when the TFLite file is; raises if they differ.

    The fresh process starts at once, to import TensorFlow, and looks at the one while the other is converted.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as place:
        numbers = Path(place, "probe.npz")
        command = child.command("kvision.export.verify", str(folder), str(numbers), "--wait")
        # not on a GPU, whose memory this process has
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, env=environment, **pipes) as process:

            def is_written() -> None:
                with suppress(BrokenPipeError):  # it has ended, and its status says why
                    print(file=process.stdin, flush=True)

            try:
                with tf.device("CPU:0"):  # a GPU rounds to ten bits
                    write_probe(numbers)
                yield is_written
                out, error = process.communicate()
            except BaseException:
                process.kill()
                raise
    if process.returncode != 0:
        raise RuntimeError(
            f"The export of '{model.name}' is not what the model computes; no version was written.\n{out}{error}"
        )
