"""Keras models from disk, kvision's own layers, losses and optimizers included."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvision import checks

if TYPE_CHECKING:
    import keras

__all__ = ["load_model"]

# Keras finds a class by its name only if the module that registers it was imported
_REGISTERING = ("kvision.layers", "kvision.losses", "kvision.training", "kvision.augment")


def load_model(path: str | Path) -> "keras.Model":
    """Loads a `.keras` file with whatever of kvision is in it.

    Keras' safe mode is on: a file that would run code of its own, as a `Lambda` layer does, is refused.

    Args:
        path: A file that `model.save` wrote, such as `model.keras` of a finished run.

    Returns:
        The model, compiled as it was saved.

    Raises:
        kvision.UserError: If there is no such file.
        ValueError: If Keras cannot read it.
    """
    if not Path(path).is_file():
        raise checks.error("path", problem="names no file", expected="a .keras file", received=str(path))
    for name in _REGISTERING:
        importlib.import_module(name)
    import keras

    model: Any = keras.models.load_model(path, safe_mode=True)
    return model
