"""Images that cannot be used: listed before anything trains, and copied where the user wants that."""

import shutil
import sys
from pathlib import Path

from kvision import atomic, checks
from kvision.runs.result import Split

__all__ = ["CHOICES", "check", "copy", "tell"]

CHOICES = ("report", "error", "quarantine")
_SHOWN = 20


def tell(split: Split) -> None:
    """Prints the notes on the data, and the images that cannot be used with the reasons."""
    for note in split.notes:
        print(f"Note: {note}")
    if split.bad_images:
        print(f"{len(split.bad_images)} images cannot be used and are left out:", file=sys.stderr)
        for bad in split.bad_images[:_SHOWN]:
            print(f"  {bad.path}: {bad.reason}", file=sys.stderr)
        if len(split.bad_images) > _SHOWN:
            print("  ... report.json lists all of them", file=sys.stderr)


def check(choice: str, split: Split) -> None:
    """Raises `kvision.UserError` if there are bad images and `--bad-images` is "error"."""
    if choice == "error" and split.bad_images:
        raise checks.error(
            "--bad-images",
            problem="is 'error'",
            expected="a folder of images that can all be used",
            received=f"{len(split.bad_images)} that cannot (listed above)",
            hint="Mend or remove them, or leave them out with --bad-images report",
        )


def copy(split: Split, source: Path, quarantine: Path) -> None:
    """Copies the files under the names that they have. Links, and files outside of the data's folder, are left.

    Args:
        split: The data.
        source: The folder of the data, or the file in it that names the images.
        quarantine: Where the copies go.
    """
    source, copied = source.parent if source.is_file() else source, 0
    for bad in split.bad_images:
        for path in (bad.path, *bad.beside):
            original = Path(bad.folder or source, path)
            target = Path(quarantine, "unlabeled" if bad.folder else "", path)
            try:
                inside = target.resolve().is_relative_to(quarantine.resolve())
                if original.is_symlink() or not original.is_file() or not inside:
                    continue
                with atomic.file(target) as temporary:
                    shutil.copyfile(original, temporary)
                copied += path == bad.path
            except OSError as reason:
                print(f"  {path}: not copied: {reason.strerror or reason}", file=sys.stderr)
    print(f"{copied} of these {len(split.bad_images)} are files, and were copied to {quarantine}", file=sys.stderr)
