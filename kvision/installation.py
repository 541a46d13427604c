"""How this kvision was installed, and the command that adds an extra to it."""

from pathlib import Path

__all__ = ["extra"]


def extra(name: str) -> str:
    """Returns the `pip install` command that adds an extra to this installation.

    Args:
        name: A key of `extras_require` in `setup.py`, as `"serving"`.

    Returns:
        `pip install -e ".[serving]"` where kvision runs from a checkout, with the checkout's folder in place of `.`
        elsewhere than in it; `pip install "kvision[serving]"` where it was installed as a package.
    """
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "setup.py").is_file():
        return f'pip install "kvision[{name}]"'
    where = "." if checkout == Path.cwd() else str(checkout)
    return f'pip install -e "{where}[{name}]"'
