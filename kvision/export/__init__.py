"""Export: a Keras model as a SavedModel and TFLite models, checked in a fresh process before the version appears."""

from kvision.export.card import checksum, model_card
from kvision.export.saved_model import write
from kvision.export.task import Answer, CardText, Case, Task

__all__ = ["Answer", "CardText", "Case", "Task", "checksum", "model_card", "write"]
