"""Transfer: a backbone that knows, a head that learns."""

from kvision.transfer.attach import attach
from kvision.transfer.choose_head import Choice, choose_head

__all__ = ["Choice", "attach", "choose_head"]
