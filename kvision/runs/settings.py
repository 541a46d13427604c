"""A recipe's settings: one frozen dataclass that is its Python interface, its flags and its help."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

__all__ = ["Settings", "add_flags", "setting"]


def setting(default: Any, text: str) -> Any:
    """A field of `Settings`: its default and its help."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that every recipe has. A recipe's `Config` derives from it and adds fields made by `setting`."""

    data: str | None = setting(None, "folder with one sub-folder per class, or .npz file; default: built-in data")
    seed: int = setting(0, "seed of splits, initial weights and order")
    deterministic: bool = setting(False, "the same numbers on every run of the same machine (slower)")
    strategy: str = setting("auto", "devices to train on: auto, single, mirrored or multiworker")


def add_flags(parser: argparse.ArgumentParser, config: type[Settings]) -> None:
    """Adds one flag a field; only the flags that are given appear in the parsed arguments."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        text = field.metadata["help"] + ("" if default in (None, False) else f" (default: {default})")
        options: dict[str, Any] = {"help": text.replace("%", "%%"), "default": argparse.SUPPRESS}
        if hints[field.name] is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"], options["metavar"] = _parser(hints[field.name])
        parser.add_argument(f"--{field.name.replace('_', '-')}", **options)


def _parser(hint: Any) -> tuple[Callable[[str], Any], str]:
    if isinstance(hint, types.UnionType):  # X | None: absent means None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        return lambda text: tuple(part.strip() for part in text.split(",") if part.strip()), "A,B,..."
    return hint, "TEXT" if hint is str else "N"
