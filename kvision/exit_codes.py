"""Exit codes that another program acts on."""

__all__ = ["RUN_AGAIN"]

RUN_AGAIN = 75
"""The same command goes on from where this process stopped: pre-empted after a checkpoint, or a peer was lost
(EX_TEMPFAIL of BSD's sysexits.h)."""
