"""Tasks: what a model answers, one file a task. Exporting and predicting know the contract `kvision.export.task.Task`.

A new task is a class in a file of its own and a line in `TASKS`.
"""

from kvision.export.task import Task
from kvision.tasks.classification import Classification
from kvision.tasks.segmentation import Segmentation

__all__ = ["TASKS", "Classification", "Segmentation"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, Segmentation)}
"""The tasks by the name in an exported model's `task.json`."""
