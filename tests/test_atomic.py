import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvision import atomic


def test_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a" / "x.weights.h5"
    with atomic.file(target) as temporary:
        assert temporary.parent == target.parent and temporary.name.endswith(".weights.h5")
        temporary.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(RuntimeError), atomic.file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "one"
    assert list(target.parent.iterdir()) == [target]


def test_folder_appears_whole_or_not_at_all(tmp_path):
    with atomic.folder(tmp_path / "1") as temporary:
        (temporary / "x").write_text("one")
        assert not (tmp_path / "1").exists()
    assert (tmp_path / "1" / "x").read_text() == "one"
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755
    with pytest.raises(RuntimeError), atomic.folder(tmp_path / "2"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]


def test_a_name_that_another_process_took_meanwhile_is_not_lost(tmp_path):
    asked = []

    def path() -> Path:
        asked.append(len([*tmp_path.glob("[0-9]")]) + 1)
        if len(asked) == 2:  # between the question and the rename
            (tmp_path / "1").mkdir()
            (tmp_path / "1/theirs").touch()
        return tmp_path / str(asked[-1])

    with atomic.folder(path) as temporary:
        (temporary / "mine").touch()
    assert (
        asked == [1, 1, 2]
        and (tmp_path / "2/mine").is_file()
        and [*(tmp_path / "1").iterdir()] == [tmp_path / "1/theirs"]
    )
    with pytest.raises(OSError), atomic.folder(tmp_path / "2") as temporary:
        (temporary / "x").touch()


def test_a_kill_leaves_an_old_or_a_new_file(tmp_path):
    """A process that rewrites 8 MB without end, killed at 6 moments: what stands there is always whole."""
    target = tmp_path / "weights"
    code = (
        "import sys; from kvision import atomic\n"
        "n = 0\n"
        "while True:\n"
        "    with atomic.file(sys.argv[1]) as t: t.write_bytes(bytes([n % 251]) * 8_000_000)\n"
        "    n += 1\n"
    )
    for i in range(6):
        child = subprocess.Popen([sys.executable, "-c", code, str(target)])
        while not target.exists():
            time.sleep(0.01)
        time.sleep(0.02 * i)
        child.send_signal(signal.SIGKILL)
        child.wait()
        content = target.read_bytes()
        assert len(content) == 8_000_000 and content == content[:1] * len(content)


def test_write_text(tmp_path):
    atomic.write_text(tmp_path / "t", "grün")
    assert Path(tmp_path / "t").read_text(encoding="utf-8") == "grün"
