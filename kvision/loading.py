"""Loads Keras models from disk, including kvision's own layers, losses and optimizers."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvision import checks

if TYPE_CHECKING:
    import keras

__all__ = ["load_model"]

# Keras finds a class by its name only after the module that registers the class was imported.
_REGISTERING = ("kvision.layers", "kvision.losses", "kvision.training", "kvision.augment")


def load_model(path: str | Path) -> "keras.Model":
    """Loads a `.keras` file that may contain layers, losses and optimizers of kvision.

    Keras' safe mode is on. A file that would run its own code, such as a model with a `Lambda` layer, is refused.

    Args:
        path: A file that `model.save` wrote, such as `model.keras` of a finished run.

    Returns:
        The model, compiled as it was saved.

    Raises:
        UserError: If the file does not exist.
        ValueError: If Keras cannot read the file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.keras")
        >>> keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]).save(path)
        >>> kv.load_model(path).output_shape
        (None, 2)
    """
    if not Path(path).is_file():
        raise checks.UserError("path", problem="names no file", expected="a .keras file", received=str(path))
    for name in _REGISTERING:
        importlib.import_module(name)
    import keras

    model: Any = keras.models.load_model(path, safe_mode=True)
    return model
