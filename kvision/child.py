"""The command that runs a module of this kvision in another Python process, whatever the current folder holds."""

import sys
from pathlib import Path

__all__ = ["command"]

# `python -m` searches the current folder first, where a script `kvision.py`, or a checkout named `kvision`, hides
# this package. The folder of this package is searched for kvision alone: other packages come from where they always do.
_CODE = """
import runpy, sys
sys.path.insert(0, {root!r})
import kvision
del sys.path[0]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs `python -m MODULE ARGUMENTS` with this process's own copy of kvision.

    Args:
        module: A module of kvision, as `"kvision"` or `"kvision.export.rerun"`.
        *arguments: Its command line.

    Returns:
        The list that `subprocess` takes.
    """
    root = str(Path(__file__).resolve().parents[1])
    return [sys.executable, "-P", "-c", _CODE.format(root=root, module=module), *arguments]
