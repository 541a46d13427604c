"""Builds the command that runs a module of this kvision in a new Python process, from any current folder."""

import sys
from pathlib import Path

__all__ = ["command"]

# `python -m` searches the current folder first. A script `kvision.py` or a checkout named `kvision` in that folder
# would hide this package. So the path first gets the folder of this package, kvision is imported, and the folder is
# removed from the path again.
_CODE = """
import runpy, sys
sys.path.insert(0, {root!r})
import kvision
del sys.path[0]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs `python -m MODULE ARGUMENTS` with the copy of kvision that this process uses.

    Args:
        module: A module of kvision, such as `"kvision"` or `"kvision.export.rerun"`.
        *arguments: The command line of the module.

    Returns:
        The command as a list for `subprocess`.
    """
    root = str(Path(__file__).resolve().parents[1])
    return [sys.executable, "-P", "-c", _CODE.format(root=root, module=module), *arguments]
