"""The tasks, with one file for each task.

A task is a class that follows the contract `kv.export.Task`. The docstring of `Task` holds a complete example. To add a
task, write a class in a new file and add the class to `TASKS`.
"""

from kvision.export.task import Task
from kvision.tasks.classification import Classification
from kvision.tasks.colorization import Colorization
from kvision.tasks.detection import Detection
from kvision.tasks.segmentation import Segmentation

__all__ = ["TASKS", "Classification", "Colorization", "Detection", "Segmentation"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, Colorization, Detection, Segmentation)}
"""The tasks by their names in `task.json` of an exported model."""
