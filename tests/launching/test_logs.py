import pytest

from kvision.launching.logs import Log


class Shown:
    """A log whose lines and time the test holds in its hands."""

    def __init__(self, path):
        self.now, self.lines = 100.0, []
        self.log = Log(path, self.lines.append, clock=lambda: self.now)

    def write(self, data: bytes, after: float = 0.0) -> list[str]:
        """What is shown by it."""
        before = len(self.lines)
        self.now += after
        self.log.feed(data)
        return self.lines[before:]

    def close(self) -> list[str]:
        before = len(self.lines)
        self.log.close()
        return self.lines[before:]


@pytest.fixture
def shown(tmp_path):
    shown = Shown(tmp_path / "log")
    yield shown
    shown.log.close()


TEXT = "one\n\n  three ü\r\nlast"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_are_whole_however_the_bytes_are_cut(shown, tmp_path, size):
    data = TEXT.encode()
    for start in range(0, len(data), size):
        shown.write(data[start : start + size])
    shown.close()
    assert shown.lines == ["one", "", "  three ü", "last"] and list(shown.log.last) == shown.lines
    assert (tmp_path / "log").read_bytes() == data + b"\n"


def test_an_unfinished_line_is_shown_when_it_ends(shown):
    assert shown.write(b"Question") == [] and shown.write(b" answered\n\n") == ["Question answered", ""]
    assert shown.write(b"no end") == [] and shown.close() == ["no end"]


def test_a_progress_bar_is_shown_now_and_then_and_its_last_state_always(shown, tmp_path):
    seen = [shown.write(f"\r {i}%".encode(), after=0.1) for i in range(100)]  # ten seconds, as tqdm writes
    lines = [line for lines in seen for line in lines]
    assert 1 <= len(lines) <= 3 and lines[0] == " 0%"
    assert shown.write(b"\r 100%\ndone\n") == [" 100%", "done"]
    assert (tmp_path / "log").read_bytes().count(b"\r") == 101, "the file has every state"


def test_a_bar_that_ends_its_states_with_a_carriage_return(shown):
    lines = [line for i in range(30) for line in shown.write(f"{i} of 30\r".encode(), after=0.1)]
    assert lines == ["0 of 30"]
    assert shown.write(b"\n") == ["29 of 30"]
    assert shown.write(b"\n") == [""]


def test_the_end_of_a_bar_without_a_line_feed(shown):
    shown.write(b"a\r")
    shown.write(b"b\r")
    assert shown.close() == ["b"]


def test_bytes_that_are_no_text_and_a_line_without_end(shown):
    assert shown.write(b"\xff\xfe\n") == ["\ufffd\ufffd"]
    lines = [line for _ in range(100) for line in shown.write(b"x" * 1000)]
    lines += shown.write(b"\n")
    assert "".join(lines) == "x" * 100_000 and len(lines) == 2


def test_only_the_last_lines_are_remembered_and_a_file_is_added_to(tmp_path):
    (tmp_path / "log").write_bytes(b"before\n")
    shown = Shown(tmp_path / "log")
    shown.write(b"".join(b"%d\n" % i for i in range(50)))
    shown.close()
    assert list(shown.log.last) == [str(i) for i in range(30, 50)]
    text = (tmp_path / "log").read_text()
    assert text.startswith("before\n0\n1\n") and text.endswith("48\n49\n")


def test_a_full_disk_is_told_once_and_output_goes_on(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    shown = Shown(tmp_path / "full")
    shown.write(b"a\n")
    shown.write(b"b\n")
    shown.close()
    told, *lines = shown.lines
    assert lines == ["a", "b"] and "No space left" in told and str(tmp_path / "full") in told
