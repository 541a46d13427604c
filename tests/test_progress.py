import io

import pytest

from kvision import progress
from kvision.progress import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream: io.StringIO, **options) -> str:
    for _ in Bar(range(300), "scan", file=stream, **options):
        pass
    return stream.getvalue()


def test_a_file_gets_one_line_at_the_end_and_one_each_interval(monkeypatch):
    text = shown(io.StringIO())
    assert text.startswith("scan: 100%") and "300/300" in text and text.count("\n") == 1 and "\r" not in text
    assert shown(io.StringIO(), leave=False) == shown(io.StringIO(), disable=True) == ""
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    text = shown(io.StringIO(), leave=False)
    assert text.count("\n") == 301 and "\r" not in text and "scan:  50%" in text
    assert shown(io.StringIO()).count("\n") == 301, "the last one is not told twice"


def test_updates_by_hand_and_an_error_within(monkeypatch):
    stream = io.StringIO()
    with pytest.raises(KeyError), Bar(total=10, file=stream) as bar:
        bar.update(3)
        raise KeyError
    assert "3/10" in stream.getvalue() and stream.getvalue().count("\n") == 1


def test_a_terminal_gets_a_bar():
    assert shown(Terminal()).count("\r") >= 2
