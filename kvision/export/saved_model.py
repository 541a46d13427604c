"""A Keras model as a new version for TF Serving, with a TFLite file beside it."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import atomic, checks, child
from kvision.export import classifier, dense, litert, quantize, seal, versions, warmup
from kvision.quiet import quiet

if TYPE_CHECKING:  # `kvision predict` reads this package without importing Keras
    import keras

__all__ = ["SIGNATURES", "write"]

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
    """Writes `model` as the next version `folder/<n>/`, TF Serving's layout; returns that folder.

    model: `image` (B, S, S, 3) in [0, 255] -> probabilities (B, C). labels: C class names. card: Markdown, or a
    function that is given the folder of the checked `.tflite` files and returns it. probe: a few images (N, S, S, 3)
    uint8 to compare on; None takes seeded noise. tflite: "float32" (`model.tflite`, always written), "float16"
    (`model_float16.tflite`: weights in half the bytes), "int8" (`model_int8.tflite`: all but the last layer in a
    quarter). representatives: for int8, some hundred training images (N, S, S, 3) in [0, 255], of which it learns the
    range of every activation. All three take and give float32. Signatures: `predict` (also `serving_default`) and
    `embed` take `image` float32, `serve_bytes` takes `image_bytes`; outputs `probabilities`, `label` (int32), `valid`
    (serve_bytes), `feature` (embed: what the last layer reads). `assets.extra/` holds `model.tflite`, `labels.txt`,
    `model_card.md` and TF Serving's warm-up requests. The artefact needs neither kvision nor Keras.
    All files are run in a fresh process and compared with `model` before the version appears (float16: features within
    10 %; int8: finite numbers of the right shape); if they differ, or the process is killed, there is no version.

    A label for each pixel: `image` (B, H, W, 3) of any size -> probabilities (B, H, W, K). `predict` gives them and
    `label` (B, H, W); `serve_bytes` gives `mask_bytes`, PNGs of labels in the images' own sizes, and `valid`; there is
    no `embed`, and `tflite` is "float32". probe: images (H, W, 3) uint8, beside noise of odd sizes. longest_side:
    pixels; larger images are made smaller for the network, inside `serve_bytes` and by `kvision predict`. colors:
    K (R, G, B) for pictures of labels.
    Raises UserError for another kind of model, labels or representatives that do not fit it, and unknown `tflite`.
    """
    _check(model)
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
    inside = {} if labels is None else {"labels.txt": "\n".join(labels)}
    if task is dense:
        inside[dense.FACTS] = dense.facts(model, longest_side, colors)
    folder, target = Path(folder), Path()

    def next_version() -> Path:
        nonlocal target
        target = folder / str(max(versions.numbers(folder), default=0) + 1)
        return target

    with atomic.folder(next_version) as temporary:
        extra = temporary / "assets.extra"
        extra.mkdir()
        with _verify(model, temporary, lambda path: task.write_probe(model, images, path, longest_side)) as is_written:
            functions = task.plain(model)
            _write_saved_model(model, task.served(model, functions, longest_side), temporary)
            is_written()
            for kind, content in _tflite(model, functions, kinds, representatives):
                (extra / quantize.file_name(kind)).write_bytes(content)
                litert.write_inside(extra / quantize.file_name(kind), inside)
            for name, text in inside.items():
                (extra / name).write_text(text + "\n", encoding="utf-8")
            is_written()
            warmup.write(temporary, task.warmup(images))
        if card is not None:  # after the other process, beside which nothing can be timed
            text = card if isinstance(card, str) else card(extra)
            (extra / "model_card.md").write_text(text, encoding="utf-8")
        seal.write(temporary)  # the last: whatever changes after it breaks it
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


def _tflite(
    model: "keras.Model",
    functions: dict[str, Callable],
    kinds: Sequence[str] = ("float32",),
    representatives: np.ndarray | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The converter takes several functions only from a SavedModel: one that lives as long as that takes."""
    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(model, functions, Path(folder))
        for kind in kinds:
            yield kind, quantize.convert(folder, kind, names=list(functions), representatives=representatives)


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
