"""A recipe's settings: one frozen dataclass that is its Python interface, its flags and its help."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from kvision import choices
from kvision.export import quantize
from kvision.runs import limits

__all__ = ["Settings", "add_flags", "backbone_setting", "setting", "weights_setting"]


def setting(default: Any, text: str, *, check: limits.Check | None = None, place: limits.Check | None = None) -> Any:
    """Declares a field of `Settings`.

    Args:
        default: Its value where the flag is not given. `None` passes every check.
        text: Its help.
        check: A function of `kvision.runs.limits` for the values that it may have.
        place: A function of `kvision.runs.limits` for a file or folder that must exist. All places are looked at
            after the other settings were checked.

    Returns:
        The field.
    """
    return dataclasses.field(default=default, metadata={"help": text, "check": check, "place": place})


def backbone_setting(default: str = "EfficientNetLite0") -> Any:
    """Declares the field of a backbone's name."""
    return setting(default, "name in kv.backbones.available()", check=limits.among(choices.BACKBONES))


def weights_setting(default: str = "imagenet") -> Any:
    """Declares the field of a backbone's weights."""
    return setting(default, "imagenet, none, or a file saved from the same backbone", place=limits.weights)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that every recipe has. A recipe's `Config` derives from it and adds fields made by `setting`."""

    tflite_kinds: typing.ClassVar[tuple[str, ...]] = quantize.ALL
    """The TFLite models that can be written."""

    data: str | None = setting(
        None, "folder with one sub-folder per class, .csv or .npz file; default: built-in data", place=limits.data
    )
    seed: int = setting(0, "seed of splits, initial weights and order", check=limits.between(0, 2**32 - 1))
    deterministic: bool = setting(False, "the same numbers on every run of the same machine (slower)")
    strategy: str = setting(
        "auto", "devices to train on: auto, single, mirrored or multiworker", check=limits.among(choices.STRATEGIES)
    )

    def check(self) -> None:
        """Checks all settings without importing Keras.

        Raises:
            kvision.UserError: For the first setting that cannot be, named by its flag.
        """
        self._check("check")
        self.check_together()
        self._check("place")

    def check_together(self) -> None:
        """Checks what settings say of each other. A recipe whose settings depend on each other overrides this."""

    def _check(self, kind: str) -> None:
        for field in dataclasses.fields(self):
            value, check = getattr(self, field.name), field.metadata[kind]
            if check is not None and value is not None:
                check(flag(field.name), value)


def flag(name: str) -> str:
    """Returns the flag of a field."""
    return f"--{name.replace('_', '-')}"


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
        parser.add_argument(flag(field.name), **options)


def _parser(hint: Any) -> tuple[Callable[[str], Any], str]:
    if isinstance(hint, types.UnionType):  # X | None: absent means None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        return lambda text: tuple(part.strip() for part in text.split(",") if part.strip()), "A,B,..."
    return hint, "TEXT" if hint is str else "N"
