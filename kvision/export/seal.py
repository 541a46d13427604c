"""A seal on a version folder: proof, to the user who exported it, that it is what kvision wrote, and unchanged.

A SavedModel is code: loading one can read and write files. What this user exported is loaded without a question, and
a marker that anyone could copy would prove nothing. So the seal is an HMAC-SHA256 over every file's path and content
under a random key of 32 bytes that only this user can read. It travels with the folder, and says nothing elsewhere.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
from pathlib import Path

from kvision import checks

__all__ = ["check", "require", "write"]

_SEAL = Path("assets.extra", "kvision.seal")
_SIZE = 32


def write(folder: Path) -> None:
    """Seals `folder` as it stands, with the user's key, made on first use.

    Where no key can be kept (a home that cannot be written), one line on standard error says so, and what follows.
    """
    try:
        key = _key(create=True)
    except (OSError, RuntimeError) as reason:
        print(
            f"kvision: the export is not sealed, since its key cannot be kept ({reason}). It works; "
            "`kvision predict` will ask for --trust.",
            file=sys.stderr,
        )
        return
    path = folder / _SEAL
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"key": _name(key), "seal": _code(folder, key)}), encoding="utf-8")


def check(folder: Path) -> str:
    """Why `folder` is not known to be this user's export, as a phrase; "" if it is, unchanged."""
    try:
        with (folder / _SEAL).open("rb") as stream:
            seal = json.loads(stream.read(1000))
        found = [seal["key"], seal["seal"]]
        if not all(isinstance(text, str) and text.isascii() for text in found):
            raise ValueError
    except FileNotFoundError:
        return "it has no seal of kvision"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "its seal is damaged"
    try:
        key = _key(create=False)
    except FileNotFoundError:
        return "it was sealed by another user or on another machine"
    except (OSError, RuntimeError) as reason:
        return f"your own key cannot be read ({reason})"
    if found[0] != _name(key):
        return "it was sealed by another user or on another machine"
    try:
        same = hmac.compare_digest(found[1], _code(folder, key))
    except OSError as reason:
        return f"its files cannot be read ({reason})"
    return "" if same else "its files were changed since it was sealed"


def require(folder: Path, *, trust: bool) -> None:
    """Raises UserError, before anything is loaded, if `folder` is not this user's export and not trusted by them."""
    if not trust and (reason := check(folder)):
        raise checks.error(
            "MODEL",
            problem=f"is not known to be your own export ({reason}), and a SavedModel is code that can read and write "
            "your files",
            expected="a version that you exported here, unchanged since",
            received=str(folder),
            hint="If you know where it comes from, add --trust. Its assets.extra/model.tflite needs none",
        )


def _code(folder: Path, key: bytes) -> str:
    """HMAC-SHA256 of every file's path and content but the seal's own; OSError for a link, whose target may change."""
    files = []
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        if stat.S_ISREG(kind) and path != folder / _SEAL:
            with path.open("rb") as stream:
                files.append([path.relative_to(folder).as_posix(), hashlib.file_digest(stream, "sha256").hexdigest()])
        elif not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise OSError(f"{path.name} is no plain file")
    return hmac.new(key, json.dumps(files).encode(), "sha256").hexdigest()


def _name(key: bytes) -> str:
    """Which key it is, without giving it away."""
    return hmac.new(key, b"the name of this key", "sha256").hexdigest()[:16]


def _key(*, create: bool) -> bytes:
    """The user's key; raises OSError (RuntimeError without a home) where there is none or it is not theirs alone."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # a relative one is to be ignored (XDG Base Directory Specification)
    path = (folder if folder.is_absolute() else Path.home() / ".config") / "kvision" / "key"
    if create and not path.exists():
        _create(path)
    with path.open("rb") as stream:
        about = os.fstat(stream.fileno())
        if about.st_uid != os.getuid() or about.st_mode & 0o077:
            raise PermissionError(f"{path} must be yours, and readable by you alone: chmod 600, or remove it")
        key = stream.read(_SIZE + 1)
    if len(key) != _SIZE:
        raise OSError(f"{path} is damaged: remove it, and export again")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".key-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_SIZE))
            stream.flush()
            os.fsync(descriptor)
        # a link appears whole, and never replaces: of several processes one makes the key, all read it
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
