"""A parser of command lines with short help and one-line errors that show what to type instead."""

import argparse
import difflib
import functools
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from kvision import checks

__all__ = ["GROUPS", "Parser"]

GROUPS = ("data", "model", "training", "output")
"""Titles in the help of a command. Each title has its own list of flags."""


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` with short help and one-line errors that suggest the right spelling.

    Attributes:
        groups: The groups of flags in the help, by title. The titles are in `GROUPS`.

    Args:
        prog: The command, such as `"kvision transfer"`.
        description: Docstring of the command's module. Help shows the text before `Expect:`, and shows the lines of
            `Run:` as examples.
        usage: The command with its arguments, for the first line of the help.
    """

    def __init__(self, *, prog: str, description: str = "", usage: str = "%(prog)s [flags]"):
        text = description.partition("\nExpect:")[0].replace("\nRun:      ", "\nExamples: ")
        layout = functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=28)
        super().__init__(prog=prog, usage=usage, description=text, formatter_class=layout, add_help=False)
        self.groups = {title: self.add_argument_group(title) for title in GROUPS}
        self.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parses a command line. A mistake in the command line ends the process with a one-line error and status 2."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.exit(2, f"{self.prog}: {self.unknown(unknown)}\n")
        return found

    def unknown(self, arguments: Sequence[str], *, hint: str = "") -> checks.UserError:
        """Returns the error for arguments that this command does not have. The caller raises it.

        Args:
            arguments: The arguments that `parse_known_args` did not recognize, at least one.
            hint: The last sentence of the error if no flag has a similar name.

        Returns:
            The error.
        """
        name = arguments[0].partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1) if name.startswith("-") else []
        return checks.UserError(
            name,
            problem=f"is not {'a flag' if name.startswith('-') else 'an argument'} of this command",
            expected=f"what `{self.prog} --help` lists",
            received=" ".join(arguments),
            hint=f"Did you mean `{near[0]}`?" if near else hint,
        )

    def in_flags(self, problem: checks.UserError) -> str:
        """Returns the text of an error with flags instead of parameter names: `--image-size` for `image_size`."""
        # If a parameter has several flags, help shows the first one, and so does the error.
        flags = {a.dest: (*a.option_strings, a.metavar or a.dest)[0] for a in reversed(self._actions)}

        def renamed(match: re.Match) -> str:
            return "`" + ", ".join(flags.get(name, name) for name in match[1].split(", ")) + "`"

        return re.sub(r"`(\w+(?:, \w+)*)`", renamed, str(problem))

    def error(self, message: str) -> NoReturn:
        """Prints one line instead of the whole usage, and ends the process."""
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` shows all flags.\n")
