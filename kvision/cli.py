"""The command `kvision`: lists and runs recipes and other commands."""

import ast
import importlib
import importlib.util
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kvision import __version__, checks, unicode_output

__all__ = ["main"]

_PACKAGES = ("kvision.recipes", "kvision.commands")
GROUPS = {
    "Classify images": ("transfer", "fewshot", "smalldata"),
    "Check data": ("audit",),
    "Label every pixel": ("segment", "edges", "convolutionalize", "coco-masks"),
    "Find objects": ("locate", "rcnn", "rcnn-rotated"),
    "Color pictures": ("colorize", "colorize-video"),
    "Learn without labels": ("simclr", "moco", "npid", "swav", "mae", "simmim", "ssl-table"),
    "Use and serve a model": ("predict", "serve"),
    "Run on several machines": ("launch",),
}
"""The titles of `kvision --help`, and the commands under each title. A test fails if a command is missing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `kvision NAME ...`.

    Args:
        argv: The command line after `kvision`. Defaults to the arguments of this process.

    Returns:
        The exit status.
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # The program that reads the output, such as `head`, has ended.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else list(argv)
    unicode_output.escape_names()
    if not argv or argv[0] in ("-h", "--help", "help", "list"):
        print(_help())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"kvision {__version__}")
        return 0
    try:
        module = _imported(argv[0])
    except checks.UserError as problem:
        print(f"kvision: {problem}", file=sys.stderr)
        return 2
    if module.__name__.startswith("kvision.recipes."):
        from kvision import runs

        return runs.main(module, argv[1:])
    return module.main(argv[1:])


def _imported(command: str) -> ModuleType:
    modules = _modules()
    checks.one_of("command", command, modules, hint="`kvision --help` explains each of them")
    return importlib.import_module(modules[command])


def _modules() -> dict[str, str]:
    """Returns the name of the module of each command, without importing these modules."""
    found = {}
    for package in _PACKAGES:
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
            found[info.name.replace("_", "-")] = f"{package}.{info.name}"
    return found


def _help() -> str:
    lines = [f"kvision {__version__}: transfer learning and vision tasks on TensorFlow and Keras", ""]
    lines += ["usage: kvision NAME [flags]", "       kvision NAME --help       examples and all flags of a command"]
    modules = _modules()
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<16}  {_first_line(modules[name])}" for name in names)]
    return "\n".join([*lines, "", "Begin with: kvision transfer --smoke"])


def _first_line(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").partition("\n")[0]
