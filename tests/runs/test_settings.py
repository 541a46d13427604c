import argparse
import dataclasses

import pytest

from kvision import runs
from kvision.runs.settings import add_flags


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    heads: tuple[str, ...] = runs.setting(("a", "b"), "which")
    size: int | None = runs.setting(None, "100 % of it")
    rate: float = runs.setting(0.5, "how fast")


def parse(*arguments: str) -> Config:
    parser = argparse.ArgumentParser()
    add_flags(parser, Config)
    return dataclasses.replace(Config(), **vars(parser.parse_args(arguments)))


def test_defaults_and_every_kind_of_flag():
    assert parse() == Config()
    given = parse("--heads", "x, y", "--size", "7", "--rate", "1e-3", "--deterministic", "--data", "d", "--seed", "3")
    assert given == Config(heads=("x", "y"), size=7, rate=1e-3, deterministic=True, data="d", seed=3)
    assert parse("--deterministic", "--no-deterministic") == Config()


def test_a_bad_number_names_the_flag(capsys):
    for flag, value, kind in (("--size", "big", "int"), ("--rate", "fast", "float")):
        with pytest.raises(SystemExit):
            parse(flag, value)
        assert f"argument {flag}: invalid {kind} value: '{value}'" in capsys.readouterr().err


def test_help_survives_percent_signs_and_shows_defaults(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert "100 % of it" in text and "(default: a,b)" in text and "(default: 0.5)" in text
