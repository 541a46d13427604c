"""Exit statuses of the commands. From the status, a supervisor decides whether to start the command again."""

__all__ = ["INTERRUPTED", "RUN_AGAIN", "USER_ERROR"]

USER_ERROR = 2
"""Invalid input that the user can fix (`kvision.UserError`, a wrong flag). Running it again gives the same error."""

RUN_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h. The command did not finish because of an outside event: SIGTERM, or a worker that
died or could not be reached. Run the same command again to continue from the last checkpoint."""

INTERRUPTED = 130
"""Ctrl-C: 128 + SIGINT, as in shells."""
