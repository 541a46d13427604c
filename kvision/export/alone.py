"""TensorFlow for processes that only run exported models."""

import sys
from pathlib import Path
from typing import Any

from kvision import checks, fusion
from kvision.export.plain_path import plain_path
from kvision.quiet import quiet

__all__ = ["import_tensorflow", "load"]


def import_tensorflow() -> None:
    """Imports TensorFlow without Keras and JAX. This saves a third of the time.

    Both can be imported later, and `tensorflow.keras` too. Only TFLite's converter does not find JAX afterwards.
    """
    # None in `sys.modules` raises an ImportError, which TensorFlow ignores for these modules. TensorFlow itself imports
    # only the optimizers of Keras.
    beside = {name: None for name in ("keras.src.optimizers", "jax") if name not in sys.modules}
    sys.modules.update(beside)
    try:
        import tensorflow  # noqa: F401
    finally:
        for name in beside:
            del sys.modules[name]


def load(folder: Path, *, argument: str = "folder") -> Any:
    """Loads a SavedModel. A SavedModel is code: loading and calling it can read and write files.

    Args:
        folder: The folder with `saved_model.pb`.
        argument: Name of `folder` in errors.

    Returns:
        The loaded object. Keep a reference to it, because its `signatures` have only weak references to the variables.

    Raises:
        UserError: If the files are damaged.
    """
    with quiet():  # The first operation looks for a GPU and prints warnings.
        import_tensorflow()
        import tensorflow as tf

        fusion.switch_off_if_slow()
        try:
            with plain_path(folder) as path:
                return tf.saved_model.load(str(path))
        except Exception as reason:  # A damaged file raises errors of many types, such as those of protobuf.
            raise checks.UserError(
                argument,
                problem=f"cannot be loaded ({' '.join(str(reason).split())[:300]})",
                expected="a SavedModel",
                received=str(folder),
            ) from reason
