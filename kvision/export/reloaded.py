"""Runs the exported files in a fresh process and compares their outputs with the outputs of the Keras model."""

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
    """Starts a fresh process that runs the files written in the `with` block, and compares the outputs at the end.

    The process starts at once, because importing TensorFlow takes seconds. It runs the SavedModel while the exporting
    process converts the TFLite models.

    Args:
        model: The model that `task.check` returned.
        folder: The folder of the version that is being written.
        task: The task of the model.
        images: Images for `task.cases`.

    Yields:
        The cases and a function. Call the function after the SavedModel is written, and again after the TFLite models
        are written.

    Raises:
        RuntimeError: If the outputs differ from the outputs of the model, or if a file cannot be run.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as place:
        inputs, outputs = Path(place, "inputs.npz"), Path(place, "outputs.npz")
        command = child.command("kvision.export.rerun", str(folder), str(inputs), str(outputs))
        # The fresh process runs on the CPU, because this process holds the memory of the GPU.
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, env=environment, **pipes) as process:

            def is_written() -> None:
                with suppress(BrokenPipeError):  # The process has ended. Its exit status shows the reason.
                    print(file=process.stdin, flush=True)

            try:
                with tf.device("CPU:0"):  # A GPU may round inputs of matrix products to 10 bits.
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
            f"The export of '{model.name}' does not answer as the model does; no version was written.\n{problems}"
        )


def calls(cases: Sequence[Case]) -> dict[str, dict[str, np.ndarray]]:
    """Returns the inputs of each case, for `rerun.pack`."""
    return {f"{number}|{case.signature}": dict(case.inputs) for number, case in enumerate(cases)}


def differences(task: Task, cases: Sequence[Case], outputs: dict[str, np.ndarray]) -> list[str]:
    """Compares the outputs of the files with the answers of the Keras model.

    Args:
        task: The task of the model.
        cases: The calls and the answers of the Keras model.
        outputs: The arrays that the fresh process wrote.

    Returns:
        One line for each difference.
    """
    problems = []
    for call, found in rerun.unpack(outputs).items():
        kind, number, _, name = call.split("|")
        problems += [
            f"{name}: {problem}" for problem in task.differences(found, cases[int(number)].expected, kind=kind)
        ]
    return problems
