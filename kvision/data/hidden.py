"""Finds files and folders that belong to the operating system or to a tool, not to the data."""

__all__ = ["hidden"]

# folders of macOS archives, thumbnails of Synology, system folders of Windows and Linux, caches of Python
_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}


def hidden(name: str) -> bool:
    """Returns whether a name is never read: it begins with a dot, or the operating system creates it."""
    return name.startswith(".") or name.lower() in _SYSTEM
