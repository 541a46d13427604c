"""What a command's exit status says to whoever started it, so that a supervisor knows whether to start it again."""

__all__ = ["INTERRUPTED", "RUN_AGAIN", "USER_ERROR"]

USER_ERROR = 2
"""An input that the user can mend (`checks.UserError`, a wrong flag). Running it again says the same."""

RUN_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: not finished, through no fault of its own (pre-empted by SIGTERM, a peer died, the peers
could not be joined). The same command goes on from the last checkpoint."""

INTERRUPTED = 130
"""Ctrl-C: 128 + SIGINT, as shells count."""
