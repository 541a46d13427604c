"""Folders that belong to the system or to a tool, and not to the data."""

__all__ = ["hidden"]

# macOS' archives, Synology's thumbnails, Windows' and Linux' own folders on a disk, Python's caches
_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is never read: it begins with a dot, or a system or a tool made it."""
    return name.startswith(".") or name.lower() in _SYSTEM
