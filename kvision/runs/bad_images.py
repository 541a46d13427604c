"""Lists bad images before the training, and copies them if the user wants copies."""

import shutil
import sys
from pathlib import Path

from kvision import atomic, checks
from kvision.runs.result import Split

__all__ = ["CHOICES", "check", "copy", "tell"]

CHOICES = ("report", "error", "quarantine")
_SHOWN = 20


def tell(split: Split) -> None:
    """Prints the notes on the data, and the bad images with the reason for each."""
    for note in split.notes:
        print(f"Note: {note}")
    if split.bad_images:
        print(f"{len(split.bad_images)} images cannot be used and are left out:", file=sys.stderr)
        for bad in split.bad_images[:_SHOWN]:
            print(f"  {bad.path}: {bad.reason}", file=sys.stderr)
        if len(split.bad_images) > _SHOWN:
            print("  ... report.json lists all of them", file=sys.stderr)


def check(choice: str, split: Split) -> None:
    """Raises `kvision.UserError` if there are bad images and the choice is "error"."""
    if choice == "error" and split.bad_images:
        raise checks.UserError(
            "bad_images",
            problem="is 'error', and some images cannot be used",
            expected="a folder without bad images",
            received=f"{len(split.bad_images)} bad images (listed above)",
            hint="Repair or remove them, or leave them out with --bad-images report",
        )


def copy(split: Split, source: Path, quarantine: Path) -> None:
    """Copies the bad images and keeps their names. Links, and files outside of the data folder, are not copied.

    Args:
        split: The data.
        source: The data folder, or the file in this folder that lists the images.
        quarantine: The folder for the copies.
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
    print(f"{copied} of these {len(split.bad_images)} were copied to {quarantine}", file=sys.stderr)
