"""Export: a Keras model -> SavedModel and LiteRT, checked in a fresh process before it counts."""

from kvision.export.card import checksum, model_card
from kvision.export.saved_model import write

__all__ = ["checksum", "model_card", "write"]
