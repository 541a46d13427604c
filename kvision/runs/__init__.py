"""What every recipe shares: settings as flags, a run's folder, the report, the export. Imports nothing heavy."""

from kvision.runs import masked, pretraining
from kvision.runs.ending import ended, told_of_sigterm
from kvision.runs.labeled import labeled
from kvision.runs.main import device, main, start, tell_bad_images
from kvision.runs.result import Data, Result
from kvision.runs.settings import Settings, add_flags, setting
from kvision.runs.stages import Stages
from kvision.runs.wrong_images import Answers

__all__ = [
    "Answers",
    "Data",
    "Result",
    "Settings",
    "Stages",
    "add_flags",
    "device",
    "ended",
    "labeled",
    "main",
    "masked",
    "pretraining",
    "setting",
    "start",
    "tell_bad_images",
    "told_of_sigterm",
]
