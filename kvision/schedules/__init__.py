"""Fine-tuning as data: which part of a model trains, from which epoch, at which rate."""

from kvision.schedules.freeze import freeze
from kvision.schedules.phases import Unfreeze, fit

__all__ = ["Unfreeze", "fit", "freeze"]
