"""TensorFlow for a process that only runs exported models."""

import sys

__all__ = ["import_tensorflow"]


def import_tensorflow() -> None:
    """Imports it without Keras and JAX, which it imports where they are, and which take a third of the seconds.

    Both can be imported later, `tensorflow.keras` too; of TFLite's converter the door to JAX stays shut.
    """
    # None is an ImportError, which TensorFlow passes over; of Keras this is all that it imports itself
    beside = {name: None for name in ("keras.src.optimizers", "jax") if name not in sys.modules}
    sys.modules.update(beside)
    try:
        import tensorflow  # noqa: F401
    finally:
        for name in beside:
            del sys.modules[name]
