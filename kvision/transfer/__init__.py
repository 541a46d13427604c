"""Transfer: a backbone that knows, a head that learns."""

from kvision.transfer.attach import attach
from kvision.transfer.choose_head import choose_head

__all__ = ["attach", "choose_head"]
