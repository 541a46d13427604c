"""What everything that trains shares."""

from kvision.training.callbacks import KeepBest, PhaseRate
from kvision.training.fit import evaluate, fit, predict
from kvision.training.guard import NonFinite
from kvision.training.objective import Objective
from kvision.training.optimizers import SGD, Adam
from kvision.training.preemption import Preempted
from kvision.training.resume import Resume
from kvision.training.source import Source

__all__ = [
    "SGD",
    "Adam",
    "KeepBest",
    "NonFinite",
    "Objective",
    "PhaseRate",
    "Preempted",
    "Resume",
    "Source",
    "evaluate",
    "fit",
    "predict",
]
