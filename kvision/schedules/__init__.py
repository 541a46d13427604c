"""Fine-tuning schedules as data. A schedule sets the part of a model that trains, its epochs and learning rates."""

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
from kvision.schedules.find_learning_rate import FoundLearningRate, find_learning_rate
from kvision.schedules.freeze import freeze
from kvision.schedules.groups import learning_rate_factors
from kvision.schedules.phases import Phase, fit
from kvision.schedules.published import SCHEDULES, Schedule, schedule

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Curve",
    "CurveSchedule",
    "FlatCosine",
    "FoundLearningRate",
    "OneCycle",
    "Phase",
    "Schedule",
    "SlantedTriangular",
    "Steps",
    "Triangular2",
    "find_learning_rate",
    "fit",
    "freeze",
    "learning_rate_factors",
    "schedule",
]
