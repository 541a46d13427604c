"""TensorFlow for a process that only runs exported models."""

import sys

__all__ = ["import_tensorflow"]


def import_tensorflow() -> None:
    """Imports it without Keras and JAX, which it imports where they are, and which take a third of the seconds.

    Neither is hindered later; where one is imported already, this is `import tensorflow`.
    """
    beside = {name: None for name in ("keras", "jax") if name not in sys.modules}
    sys.modules.update(beside)  # None: an ImportError, which TensorFlow passes over
    try:
        import tensorflow  # noqa: F401
    finally:
        for name in beside:
            del sys.modules[name]
