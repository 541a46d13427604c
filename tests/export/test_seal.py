import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kvision.export import seal


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def folder(config, tmp_path) -> Path:
    """A sealed folder like a version's."""
    folder = tmp_path / "models" / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables/variables.data").write_bytes(bytes(5_000_000))
    (folder / "empty").write_bytes(b"")
    seal.write(folder)
    return folder


def test_an_unchanged_folder_is_known_wherever_it_is_moved(folder, config, tmp_path):
    assert seal.check(folder) == ""
    shutil.move(folder, tmp_path / "elsewhere")
    assert seal.check(tmp_path / "elsewhere") == ""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert seal.check(tmp_path / "link") == ""
    seal.write(tmp_path / "elsewhere")
    assert seal.check(tmp_path / "elsewhere") == "", "sealed again with the same key"
    key = config / "kvision" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32
    assert [entry.name for entry in key.parent.iterdir()] == ["key"]


CHANGES = {
    "a byte": lambda folder: (folder / "saved_model.pb").write_bytes(b"grapH"),
    "a byte of the weights": lambda folder: (folder / "variables/variables.data").write_bytes(bytes(4_999_999) + b"1"),
    "a file more": lambda folder: (folder / "variables/x").write_bytes(b""),
    "a file less": lambda folder: (folder / "empty").unlink(),
    "another name": lambda folder: (folder / "empty").rename(folder / "void"),
    "another folder": lambda folder: (folder / "empty").rename(folder / "variables/empty"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_breaks_it_and_is_told_from_a_foreign_folder(folder, name):
    CHANGES[name](folder)
    assert seal.check(folder) == "its files were changed since it was sealed"


def test_links_are_not_followed(folder, tmp_path):
    shutil.move(folder / "variables", tmp_path / "variables")
    (folder / "variables").symlink_to(tmp_path / "variables")
    assert "variables is no plain file" in seal.check(folder)


def test_a_seal_cannot_be_copied_or_made_without_the_key(folder, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    (other / "saved_model.pb").write_bytes(b"another graph")
    assert seal.check(other) == "it has no seal of kvision"
    shutil.copytree(folder / "assets.extra", other / "assets.extra")
    assert "changed" in seal.check(other)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of another user"))
    assert "another user or on another machine" in seal.check(folder), "no key"
    seal.write(other)
    assert seal.check(other) == ""
    assert "another user or on another machine" in seal.check(folder), "another key"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"key": 1, "seal": 2}', '{"key": "ü", "seal": "ü"}', "[" * 900, " " * 5000, "\0"]
)
def test_damaged_seals(folder, text):
    (folder / "assets.extra/kvision.seal").write_text(text, encoding="utf-8")
    assert seal.check(folder) == "its seal is damaged"


def test_a_wrong_code_of_any_length_is_none(folder):
    path = folder / "assets.extra/kvision.seal"
    good = json.loads(path.read_text())
    for code in ("", good["seal"][:-1], good["seal"] + "0", "0" * 64):
        path.write_text(json.dumps({**good, "seal": code}))
        assert "changed" in seal.check(folder)


def test_a_key_that_others_can_read_or_that_is_damaged_is_none(folder, config, capsys):
    key = config / "kvision" / "key"
    key.chmod(0o644)
    assert "chmod 600" in seal.check(folder)
    seal.write(folder)
    assert "not sealed" in capsys.readouterr().err
    key.chmod(0o600)
    for content in (b"", bytes(31), bytes(33)):
        key.write_bytes(content)
        assert "damaged" in seal.check(folder)


def test_without_a_place_for_the_key_the_export_goes_on_unsealed(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")  # a folder cannot be made below a file, whoever runs the tests
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    folder = tmp_path / "1"
    folder.mkdir()
    seal.write(folder)
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "not sealed" in message and "--trust" in message
    assert not list(folder.iterdir()) and seal.check(folder) == "it has no seal of kvision"


def test_a_relative_configuration_folder_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").mkdir()
    seal.write(tmp_path / "1")
    assert (tmp_path / ".config/kvision/key").is_file() and not (tmp_path / "here").exists()


def test_processes_at_once_make_one_key(tmp_path):
    code = "import sys; from pathlib import Path; from kvision.export import seal; seal.write(Path(sys.argv[1]))"
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    folders = [tmp_path / str(i) for i in range(6)]
    for folder in folders:
        folder.mkdir()
    running = [subprocess.Popen([sys.executable, "-c", code, folder], env=environment) for folder in folders]
    assert [process.wait() for process in running] == [0] * 6
    assert len({json.loads((folder / "assets.extra/kvision.seal").read_text())["key"] for folder in folders}) == 1
    assert [entry.name for entry in (tmp_path / "config/kvision").iterdir()] == ["key"]
