"""Finds out how kvision was installed, and the command that adds an extra to this installation."""

from pathlib import Path

__all__ = ["extra"]


def extra(name: str) -> str:
    """Returns the `pip install` command that adds an extra to this installation.

    Args:
        name: A key of `extras_require` in `setup.py`, such as `"serving"`.

    Returns:
        `pip install -e ".[serving]"` if kvision runs from a checkout. If the checkout is not the current folder, the
        path of the checkout replaces `.`. If kvision was installed as a package, the command is `pip install
        "kvision[serving]"`.
    """
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "setup.py").is_file():
        return f'pip install "kvision[{name}]"'
    where = "." if checkout == Path.cwd() else str(checkout)
    return f'pip install -e "{where}[{name}]"'
