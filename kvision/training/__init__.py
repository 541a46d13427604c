"""What everything that trains shares."""

from kvision.training.callbacks import KeepBest, PhaseRate
from kvision.training.optimizers import SGD, Adam

__all__ = ["SGD", "Adam", "KeepBest", "PhaseRate"]
