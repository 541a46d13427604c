"""Export: writes a Keras model as a SavedModel and TFLite models, and checks them in a fresh process.

`write` exports a model. `Task` is the contract of a task, and `kvision.tasks` holds the tasks.
"""

from kvision.export.card import checksum, model_card
from kvision.export.more_methods import Fillable, Refinable, Tiled
from kvision.export.saved_model import write
from kvision.export.task import Answer, CardText, Case, Task

__all__ = ["Answer", "CardText", "Case", "Fillable", "Refinable", "Task", "Tiled", "checksum", "model_card", "write"]
