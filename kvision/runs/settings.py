"""The settings of a recipe. One frozen dataclass defines the Python interface, the flags and the help."""

import dataclasses
import types
import typing
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Callable
from typing import Any

from kvision import choices, flags
from kvision.export import quantize
from kvision.runs import limits

__all__ = ["Settings", "add_flags", "backbone_setting", "precision_setting", "setting", "weights_setting"]

# More flags of a field, which help does not show.
_ALIASES = {"learning_rate": "--rate", "find_learning_rate": "--find-rate"}


def setting(
    default: Any,
    text: str,
    *,
    group: str = "training",
    check: limits.Check | None = None,
    place: limits.Check | None = None,
    metavar: str | None = None,
) -> Any:
    """Declares a field of `Settings`.

    Args:
        default: Value of the field if the flag is not given. `None` passes every check.
        text: Help text of the field: one line of at most 70 characters, including the default.
        group: Title of the field's group in the help, one of `kvision.flags.GROUPS`.
        check: A function of `kvision.runs.limits` that checks the value.
        place: A function of `kvision.runs.limits` that checks whether a file or folder exists. These checks run after
            the checks of all values.
        metavar: Placeholder of the value in the help. If None, a word for the type of the value.

    Returns:
        The field.
    """
    facts = {"help": text, "group": group, "check": check, "place": place, "metavar": metavar}
    return dataclasses.field(default=default, metadata=facts)


def backbone_setting(default: str = "EfficientNetLite0") -> Any:
    """Declares the field of a backbone's name."""
    text = "a name from kv.backbones.available()"
    return setting(default, text, group="model", check=limits.among(choices.BACKBONES))


def weights_setting(default: str = "imagenet") -> Any:
    """Declares the field of a backbone's weights."""
    return setting(default, "imagenet, none, or a file of weights", group="model", place=limits.weights)


def precision_setting() -> Any:
    """Declares the field of the precision of training."""
    text = "float32, mixed_bfloat16, or mixed_float16 on a GPU"
    return setting("float32", text, check=limits.among(choices.PRECISIONS))


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that every recipe has. A recipe's `Config` is a subclass with more fields, made by `setting`."""

    tflite_kinds: typing.ClassVar[tuple[str, ...]] = quantize.ALL
    """The kinds of TFLite models that the recipe can write."""

    data: str | None = setting(
        None,
        "folder with one sub-folder per class, or .csv or .npz (default: digits)",
        group="data",
        place=limits.data,
        metavar="PATH",
    )
    seed: int = setting(0, "seed of split, initial weights and order", check=limits.between(0, 2**32 - 1))
    deterministic: bool = setting(False, "bit-reproducible on this machine (slower)")
    strategy: str = setting(
        "auto", "devices: auto, single, mirrored or multiworker", check=limits.among(choices.STRATEGIES)
    )

    def check(self) -> None:
        """Checks all settings without importing Keras.

        Raises:
            UserError: For the first setting that is not valid.
        """
        self._check("check")
        self.check_together()
        self._check("place")

    def check_together(self) -> None:
        """Checks settings that depend on each other. A recipe with such settings overrides this method."""

    def _check(self, kind: str) -> None:
        for field in dataclasses.fields(self):
            value, check = getattr(self, field.name), field.metadata[kind]
            if check is not None and value is not None:
                check(field.name, value)


def add_flags(parser: flags.Parser, config: type) -> None:
    """Adds one flag for each field. Only the flags that are given appear in the parsed arguments.

    Args:
        parser: The parser to add the flags to. Each flag goes into the group of its field.
        config: A dataclass with fields made by `setting`.
    """
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "on" if default is True else default
        text = field.metadata["help"] + ("" if default is None or default is False else f" (default: {default})")
        options: dict[str, Any] = {"dest": field.name, "default": SUPPRESS, "help": text.replace("%", "%%")}
        if hints[field.name] is bool:
            options["action"] = BooleanOptionalAction if field.default else "store_true"
        else:
            options["type"], word = _parser(hints[field.name])
            options["metavar"] = field.metadata["metavar"] or word
        parser.groups[field.metadata["group"]].add_argument(f"--{field.name.replace('_', '-')}", **options)
        if field.name in _ALIASES:
            parser.add_argument(_ALIASES[field.name], **{**options, "help": SUPPRESS})


def _parser(hint: Any) -> tuple[Callable[[str], Any], str]:
    if isinstance(hint, types.UnionType):  # X | None: absent means None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        return lambda text: tuple(part.strip() for part in text.split(",") if part.strip()), "A,B,..."
    return hint, "NAME" if hint is str else "N"
