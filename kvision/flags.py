"""Command lines: every mistake in one is a line that says what to type instead."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from kvision import checks

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` with the description as it is written, short errors, and suggestions for typos."""

    def __init__(self, **options: Any):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parses a command line; ends the process with a line and status 2 where it is wrong."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.exit(2, f"{self.prog}: {self.unknown(unknown)}\n")
        return found

    def unknown(self, arguments: Sequence[str], *, hint: str = "") -> checks.UserError:
        """Returns the error for arguments that this command does not have; the caller raises it.

        Args:
            arguments: What `parse_known_args` left over, at least one.
            hint: What to say where no flag has a similar name.
        """
        name = arguments[0].partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1) if name.startswith("-") else []
        return checks.error(
            name,
            problem=f"is not {'a flag' if name.startswith('-') else 'an argument'} of this command",
            expected=f"what `{self.prog} --help` lists",
            received=" ".join(arguments),
            hint=f"Did you mean `{near[0]}`?" if near else hint,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the process with a line instead of the whole usage."""
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` shows all flags.\n")
