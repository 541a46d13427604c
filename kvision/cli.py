"""`kvision`: lists and runs recipes and commands. Imports neither TensorFlow nor Keras before one is chosen."""

import ast
import importlib
import importlib.util
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kvision import __version__, checks, unicode_output

__all__ = ["main"]

_PACKAGES = {"Recipes (data + model + training + export)": "kvision.recipes", "Commands": "kvision.commands"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `kvision NAME ...`; returns the exit status."""
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output, as `head`, has gone
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
    modules = _modules()
    try:
        name = checks.one_of("command", argv[0], modules, hint="kvision --help lists them with a line each")
    except checks.UserError as problem:
        print(f"kvision: {problem}", file=sys.stderr)
        return 2
    module = importlib.import_module(modules[name])
    if modules[name].startswith("kvision.recipes."):
        from kvision import runs

        return runs.main(module, argv[1:])
    return module.main(argv[1:])


def _modules() -> dict[str, str]:
    """{name on the command line: module}, found, not imported."""
    found = {}
    for package in _PACKAGES.values():
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
            found[info.name.replace("_", "-")] = f"{package}.{info.name}"
    return found


def _help() -> str:
    lines = [f"kvision {__version__}: transfer learning and vision tasks on TensorFlow and Keras 3", ""]
    lines += ["usage: kvision NAME [flags]        kvision NAME --help shows the flags", ""]
    for title, package in _PACKAGES.items():
        lines.append(f"{title}:")
        for name, module in _modules().items():
            if module.startswith(package):
                lines.append(f"  {name:<12} {_first_line(module)}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _first_line(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").partition("\n")[0]
