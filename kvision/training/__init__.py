"""`fit` for any Keras model, with replicas and exact resume; optimizers, callbacks and the base of training methods."""

from kvision.training.callbacks import Clock, KeepBest, PhaseRate, PhaseValue
from kvision.training.fit import evaluate, fit, predict
from kvision.training.guard import NonFinite
from kvision.training.objective import Objective
from kvision.training.optimizers import SGD, Adam, AdamW, Lamb, Lars
from kvision.training.precision import PRECISIONS, mixed
from kvision.training.preemption import Preempted
from kvision.training.resume import Resume
from kvision.training.source import Source

__all__ = [
    "PRECISIONS",
    "SGD",
    "Adam",
    "AdamW",
    "Clock",
    "KeepBest",
    "Lamb",
    "Lars",
    "NonFinite",
    "Objective",
    "PhaseRate",
    "PhaseValue",
    "Preempted",
    "Resume",
    "Source",
    "evaluate",
    "fit",
    "mixed",
    "predict",
]
