"""Transfer learning and vision tasks on TensorFlow and Keras 3.

`import kvision as kv` imports neither TensorFlow nor Keras. Each package (`kv.backbones`, `kv.data`, `kv.transfer` ...)
is imported on first use.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

from kvision.checks import UserError
from kvision.loading import load_model

if TYPE_CHECKING:
    from kvision import (
        augment,
        backbones,
        colorization,
        data,
        decoders,
        detection,
        distribute,
        export,
        features,
        heads,
        layers,
        losses,
        metrics,
        ops,
        pixels,
        plots,
        schedules,
        segmentation,
        selfsup,
        tasks,
        training,
        transfer,
    )

__version__ = "0.1.0"

__all__ = [
    "augment",
    "backbones",
    "colorization",
    "data",
    "decoders",
    "detection",
    "distribute",
    "export",
    "features",
    "heads",
    "layers",
    "losses",
    "metrics",
    "ops",
    "pixels",
    "plots",
    "schedules",
    "segmentation",
    "selfsup",
    "tasks",
    "training",
    "transfer",
    "UserError",
    "load_model",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'kvision' has no attribute '{name}'. It has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


# TensorFlow reads this variable once, when TensorFlow is imported. By default TensorFlow uses oneDNN's operations only
# on x86 CPUs with AVX-512 VNNI. On x86 CPUs without AVX-512 VNNI, a training step takes about twice as long if oneDNN
# is off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
