"""Checks that the package of an extra is installed, before a function imports it."""

import importlib.util

from kvision import checks, installation

__all__ = ["require_package"]


def require_package(name: str, *, extra: str, argument: str) -> None:
    """Checks that a package is installed.

    Args:
        name: The name under which Python imports the package.
        extra: The extra of kvision that installs the package.
        argument: Name of the argument that needs the package, for the error.

    Raises:
        UserError: If the package is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise checks.UserError(
            argument,
            problem="needs a package that is not installed",
            expected=f"the extra `{extra}`",
            received=f"no module {name}",
            hint=f"Run: {installation.extra(extra)}",
        )
