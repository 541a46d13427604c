import dataclasses

import pytest

from kvision import flags, runs
from kvision.checks import UserError
from kvision.runs import limits
from kvision.runs.settings import add_flags


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    heads: tuple[str, ...] = runs.setting(("a", "b"), "which")
    size: int | None = runs.setting(None, "100 % of it", group="data")
    learning_rate: float = runs.setting(0.5, "how fast")
    flip: bool = runs.setting(True, "mirror")


def parse(*arguments: str) -> Config:
    parser = flags.Parser(prog="kvision toy")
    add_flags(parser, Config)
    return dataclasses.replace(Config(), **vars(parser.parse_args(arguments)))


def test_defaults_and_every_kind_of_flag():
    assert parse() == Config()
    given = parse("--heads", "x, y", "--size", "7", "--deterministic", "--data", "d", "--seed", "3", "--no-flip")
    assert given == Config(heads=("x", "y"), size=7, deterministic=True, data="d", seed=3, flip=False)
    assert parse("--flip") == Config()
    assert parse("--learning-rate", "1e-3") == parse("--rate", "1e-3") == Config(learning_rate=1e-3), "an alias"


def test_a_bad_number_names_the_flag(capsys):
    for flag, value, kind in (("--size", "big", "int"), ("--learning-rate", "fast", "float")):
        with pytest.raises(SystemExit):
            parse(flag, value)
        assert f"argument {flag}: invalid {kind} value: '{value}'" in capsys.readouterr().err


def test_help_survives_percent_signs_and_shows_defaults(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert "100 % of it" in text and "(default: a,b)" in text and "(default: 0.5)" in text and "(default: 0)" in text
    assert text.index("data:") < text.index("--size") < text.index("training:") < text.index("--heads")
    assert "--flip, --no-flip" in text and "(default: on)" in text and "--rate " not in text


@dataclasses.dataclass(frozen=True)
class Checked(runs.Settings):
    batch_size: int = runs.setting(8, "images a step", check=limits.positive)
    images: str | None = runs.setting(None, "where", place=limits.folder)

    def check_together(self) -> None:
        if self.batch_size == self.seed:
            raise UserError("together")


def test_values_are_checked_before_what_they_say_together_and_places_last():
    Checked().check()
    for change, text in [
        ({"batch_size": 0, "seed": 0, "images": "/nowhere"}, "`batch_size` is not valid"),
        ({"batch_size": 8, "seed": 8, "images": "/nowhere"}, "together"),
        ({"images": "/nowhere"}, "`images` names no folder"),
        ({"seed": 2**32}, "`seed` is not valid. Expected a number from 0 to 4294967295"),
        ({"strategy": "mirored"}, "Did you mean 'mirrored'"),
    ]:
        with pytest.raises(UserError, match=text):
            dataclasses.replace(Checked(), **change).check()
