"""Compares the files of an export, run in a fresh process, with the answers of the Keras model."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import child, npz
from kvision.export import rerun
from kvision.export.task import Case, Task

if TYPE_CHECKING:
    import keras

__all__ = ["checked", "differences"]


@contextmanager
def checked(
    model: "keras.Model", folder: Path, task: Task, images: Sequence[np.ndarray] | None
) -> Iterator[tuple[list[Case], Callable[[], None]]]:
    """Runs the files that the body writes in a fresh process, and compares them with the model at the end.

    The process starts at once, to import TensorFlow, and runs the SavedModel while the TFLite models are converted.

    Args:
        model: What `task.check` returned.
        folder: The version that is being written.
        task: What the model answers.
        images: For `task.cases`.

    Yields:
        The cases, and a function to call when the SavedModel is written, and again when the TFLite models are.

    Raises:
        RuntimeError: If the files answer otherwise than the model, or cannot be run.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as place:
        inputs, outputs = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        command = child.command("kvision.export.rerun", str(folder), str(inputs), str(outputs))
        # not on a GPU, whose memory this process has
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, env=environment, **pipes) as process:

            def is_written() -> None:
                with suppress(BrokenPipeError):  # it has ended, and its status says why
                    print(file=process.stdin, flush=True)

            try:
                with tf.device("CPU:0"):  # a GPU rounds to ten bits
                    cases = task.cases(model, images)
                np.savez(inputs, **rerun.pack(calls(cases)))
                yield cases, is_written
                out, error = process.communicate()
            except BaseException:
                process.kill()
                raise
        failed = process.returncode != 0
        problems = out + error if failed else "\n".join(differences(task, cases, npz.read(outputs, stored=True)))
    if failed or problems:
        raise RuntimeError(
            f"The export of '{model.name}' is not what the model computes; no version was written.\n{problems}"
        )


def calls(cases: Sequence[Case]) -> dict[str, dict[str, np.ndarray]]:
    """Returns the inputs of each case, for `rerun.pack`."""
    return {f"{number}|{case.signature}": dict(case.inputs) for number, case in enumerate(cases)}


def differences(task: Task, cases: Sequence[Case], outputs: dict[str, np.ndarray]) -> list[str]:
    """Returns a line for each difference between what the files answered and what the Keras model did.

    Args:
        task: What the model answers.
        cases: What the Keras model answered.
        outputs: What the process wrote.
    """
    problems = []
    for call, found in rerun.unpack(outputs).items():
        kind, number, _, name = call.split("|")
        problems += [
            f"{name}: {problem}" for problem in task.differences(found, cases[int(number)].expected, kind=kind)
        ]
    return problems
