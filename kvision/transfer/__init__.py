"""Transfer learning: joins a pre-trained backbone and a classifier, and chooses the classifier."""

from kvision.transfer.attach import attach
from kvision.transfer.choose_head import Choice, choose_head

__all__ = ["Choice", "attach", "choose_head"]
