"""Transfer learning and the vision tasks around it, on TensorFlow and Keras 3.

`import kvision as kv` imports neither TensorFlow nor Keras: each part is imported on first use,
`kv.backbones`, `kv.heads`, `kv.transfer`, `kv.schedules`, `kv.selfsup`, `kv.data`, `kv.export` ...
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
        data,
        decoders,
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
    "data",
    "decoders",
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


# TensorFlow reads this once, when it is imported. By itself it takes oneDNN's operations only on x86 CPUs with AVX-512
# VNNI; on others a training step takes about twice as long without them (README, "Measured").
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
