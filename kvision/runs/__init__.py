"""What every recipe shares: settings as flags, a run's folder, the report, the export. Imports nothing heavy."""

from kvision.runs.main import main
from kvision.runs.result import Data, Result
from kvision.runs.settings import Settings, setting
from kvision.runs.stages import Stages

__all__ = ["Data", "Result", "Settings", "Stages", "main", "setting"]
