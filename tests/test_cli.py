import subprocess
import sys
import time

import pytest

import kvision


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "kvision", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("code", ["import kvision", "from kvision import cli; cli.main(['--help'])"])
def test_import_and_help_load_nothing_heavy_and_are_fast(code):
    check = "import sys; print([m for m in ('tensorflow', 'keras', 'numpy', 'sklearn', 'PIL') if m in sys.modules])"
    times = []
    for _ in range(3):
        started = time.perf_counter()
        result = subprocess.run([sys.executable, "-c", f"{code}; {check}"], capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip().splitlines()[-1] == "[]"
    bare = min(_bare() for _ in range(3))
    assert min(times) < bare + 0.5


def _bare() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - started


def test_help_lists_recipes_and_commands_with_their_first_line():
    for arguments in ((), ("--help",), ("list",)):
        result = run(*arguments)
        assert result.returncode == 0
        assert "transfer     Transfer learning: a pre-trained backbone" in result.stdout
        assert "predict      Classifies images, or labels their pixels, with an exported model." in result.stdout


def test_version():
    assert run("--version").stdout.strip() == f"kvision {kvision.__version__}"


def test_unknown_command_suggests():
    result = run("tranfer")
    assert result.returncode == 2 and "Did you mean 'transfer'" in result.stderr and "Traceback" not in result.stderr


def test_recipe_help_derives_from_its_config_and_needs_no_tensorflow():
    code = (
        "import sys; from kvision import cli\n"
        "try: cli.main(['transfer', '--help'])\n"
        "except SystemExit: pass\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().endswith("False False")
    for text in ("--backbone", "--train-per-class", "--deterministic", "--out", "--again", "default: knn,forest"):
        assert text in " ".join(result.stdout.split())
