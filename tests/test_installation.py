from pathlib import Path

from kvision import installation


def test_from_a_checkout_the_command_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "kvision/installation.py"))
    assert installation.extra("plots") == 'pip install "kvision[plots]"', "no setup.py: installed as a package"
    (tmp_path / "setup.py").touch()
    assert installation.extra("plots") == f'pip install -e "{tmp_path}[plots]"'
    monkeypatch.chdir(tmp_path)
    assert installation.extra("plots") == 'pip install -e ".[plots]"'


def test_no_hint_is_written_by_hand():
    root = Path(installation.__file__).parent
    files = [*root.rglob("*.py"), *(root.parent / "recipes").glob("*.py")]
    found = {path.stem for path in files if "pip install" in path.read_text(encoding="utf-8")}
    assert found == {"installation"}, "call installation.extra"
