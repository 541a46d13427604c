"""Transfer: a backbone that knows, a head that learns."""

from kvision.transfer.attach import attach

__all__ = ["attach"]
