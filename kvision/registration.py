"""After `import kvision`, `keras.models.load_model` knows kvision's classes, and Keras is still not imported.

Keras finds a custom class only if the module that registers it was imported. If Keras is there already, ours are
imported now; else right after Keras is.
"""

import importlib
import importlib.abc
import importlib.util
import sys

__all__ = ["install"]

_MODULES = ("kvision.layers", "kvision.losses", "kvision.training", "kvision.views")


def install() -> None:
    """Registers now, or as soon as Keras is imported."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    for name in _MODULES:
        importlib.import_module(name)


class _AfterKeras(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:  # TensorFlow asks, when it is imported, and imports nothing by that
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            sys.meta_path.remove(self)
            _register()

        spec.loader.exec_module = exec_module
        return spec
