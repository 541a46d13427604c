"""Self-supervised pre-training: encoders that learn from images without labels, and their evaluation.

Each method is a `kv.training.Objective`. The trained encoder is `method.encoder`.
"""

from kvision.selfsup.bank import MemoryBank
from kvision.selfsup.callbacks import Collapsed, CollapseGuard, OnlineKNN, OnlineProbe
from kvision.selfsup.evaluate import Evaluation, evaluate, untrained
from kvision.selfsup.geometry import alignment, spread, uniformity
from kvision.selfsup.knn import knn_accuracy, knn_predict
from kvision.selfsup.linear_probe import LinearProbe, linear_probe
from kvision.selfsup.mae import MAE
from kvision.selfsup.methods import METHODS, SIZES, preset
from kvision.selfsup.moco import MoCo
from kvision.selfsup.npid import NPID
from kvision.selfsup.presets import Preset
from kvision.selfsup.projector import projector
from kvision.selfsup.prototypes import Prototypes
from kvision.selfsup.queue import FeatureQueue
from kvision.selfsup.simclr import SimCLR
from kvision.selfsup.simmim import SimMIM
from kvision.selfsup.sinkhorn import sinkhorn
from kvision.selfsup.supervised import Supervised
from kvision.selfsup.swav import SwAV
from kvision.selfsup.twin import MomentumTwin

__all__ = [
    "METHODS",
    "SIZES",
    "Preset",
    "preset",
    "CollapseGuard",
    "Collapsed",
    "Evaluation",
    "FeatureQueue",
    "LinearProbe",
    "MAE",
    "MemoryBank",
    "MoCo",
    "MomentumTwin",
    "NPID",
    "OnlineKNN",
    "OnlineProbe",
    "Prototypes",
    "SimCLR",
    "SimMIM",
    "Supervised",
    "SwAV",
    "alignment",
    "evaluate",
    "knn_accuracy",
    "knn_predict",
    "linear_probe",
    "projector",
    "sinkhorn",
    "spread",
    "uniformity",
    "untrained",
]
