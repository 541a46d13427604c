"""Fine-tuning as data: which part of a model trains, from which epoch, at which rate."""

from kvision.schedules.curves import Constant, Cosine, FlatCosine, OneCycle, SlantedTriangular, Steps, Triangular2
from kvision.schedules.find_rate import FoundRate, find_rate
from kvision.schedules.freeze import freeze
from kvision.schedules.groups import rates
from kvision.schedules.phases import Unfreeze, fit
from kvision.schedules.presets import PRESETS, Preset, preset

__all__ = [
    "PRESETS",
    "Constant",
    "Cosine",
    "FlatCosine",
    "FoundRate",
    "OneCycle",
    "Preset",
    "SlantedTriangular",
    "Steps",
    "Triangular2",
    "Unfreeze",
    "find_rate",
    "fit",
    "freeze",
    "preset",
    "rates",
]
