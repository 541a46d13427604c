"""Fine-tuning as data: which part of a model trains, from which epoch, at which learning rate."""

from kvision.schedules.curves import (
    Constant,
    Cosine,
    Curve,
    CurveSchedule,
    FlatCosine,
    OneCycle,
    SlantedTriangular,
    Steps,
    Triangular2,
)
from kvision.schedules.find_rate import FoundRate, find_rate
from kvision.schedules.freeze import freeze
from kvision.schedules.groups import rates
from kvision.schedules.phases import Phase, fit
from kvision.schedules.published import SCHEDULES, Schedule, schedule

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Curve",
    "CurveSchedule",
    "FlatCosine",
    "FoundRate",
    "OneCycle",
    "Schedule",
    "SlantedTriangular",
    "Steps",
    "Triangular2",
    "Phase",
    "find_rate",
    "fit",
    "freeze",
    "schedule",
    "rates",
]
