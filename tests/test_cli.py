import os
import re
import subprocess
import sys

import pytest

import kvision
from kvision import cli


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "kvision", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("code", ["import kvision", "from kvision import cli; cli.main(['--help'])"])
def test_import_and_help_load_nothing_heavy(code):
    check = "import sys; print([m for m in ('tensorflow', 'keras', 'numpy', 'sklearn', 'PIL') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", f"{code}; {check}"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_help_lists_recipes_and_commands_with_their_first_line():
    for arguments in ((), ("--help",), ("list",)):
        result = run(*arguments)
        assert result.returncode == 0
        assert "\nClassify images:\n  transfer          Trains classifiers on a pre-trained network" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 100


def test_help_lists_every_command_once():
    listed = [name for names in cli.GROUPS.values() for name in names]
    assert sorted(listed) == sorted(cli._modules()), "cli.GROUPS: put each command under what people want"


def test_who_reads_may_leave():
    command = [sys.executable, "-m", "kvision", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait() == 141


def test_version():
    assert run("--version").stdout.strip() == f"kvision {kvision.__version__}"


def test_unknown_command_suggests():
    result = run("tranfer")
    assert result.returncode == 2 and "Did you mean 'transfer'" in result.stderr and "Traceback" not in result.stderr


BAD = [
    line.split()
    for line in """
    transfer --epocs 2
    transfer --backbone ResNet51
    transfer --weights nowhere.keras
    transfer --heads knn,forrest
    transfer --heads ,
    transfer --image-size 3
    transfer --schedule finetune
    transfer --epochs 0
    transfer --learning-rate nan
    transfer --batch-size -1
    transfer --precision half
    transfer --train-per-class 0
    transfer --test-per-class 0
    transfer --seed -1
    transfer --strategy mirorred
    transfer --data nowhere
    transfer --data nowhere.npz
    transfer --tflite float8
    transfer --bad-images keep
    transfer --out /dev/null/below
    segment --decoders net
    segment --merge sum
    segment --up cubic
    segment --loss huber
    segment --class-weights mean
    segment --class-weights median --loss dice
    segment --crop 1x1
    segment --scale 2,1
    segment --longest-side 0
    segment --train-images 0
    segment --tflite int8
    segment --data nowhere
    edges --steps -1
    edges --thickness 0
    edges --loss huber
    edges --data nowhere
    convolutionalize --windows 0
    convolutionalize --learning-rate 0
    convolutionalize --data nowhere
    locate --head dense
    locate --image-size 3
    locate --zoom 0.5
    locate --epochs 0
    locate --tflite int8
    locate --data nowhere
    simclr --preset large
    simclr --encoder ResNet51
    simclr --encoder InceptionV3 --image-size 32
    simclr --width 30
    simclr --minutes 1 --epochs 1
    simclr --minutes inf
    simclr --unlabeled nowhere
    moco --version 3
    ssl-table --methods simclrr
    ssl-table --learning-rate 1
    ssl-table --out /dev/null/below
    predict nowhere.tflite image.jpg
    predict nowhere.tflite image.jpg --top 0
    predict nowhere image.jpg --jsn
    predict nowhere.tflite image.jpg --engine onnx
    serve nowhere --port 99999
    serve nowhere
    coco-masks nowhere.json nowhere /dev/null/below
    launch --wrokers 2 -- transfer
    launch --workers 2 -- trnsfer
    """.strip().splitlines()
]


def test_bad_values_and_help_are_answered_before_tensorflow_is_imported():
    code = f"""
import os, sys
from kvision import cli
for argv in {BAD!r} + [[name, "--help"] for name in cli._modules()]:
    print("CALL", *argv, file=sys.stderr)
    sys.stdout = open(os.devnull, "w") if argv[-1] != "--help" else sys.__stdout__
    print("CALL", *argv)
    try:
        status = cli.main(argv)
    except SystemExit as end:
        status = end.code
    print("STATUS", status, file=sys.stderr)
sys.stdout = sys.__stdout__
print([m for m in ("tensorflow", "keras", "sklearn", "matplotlib") if m in sys.modules])
"""
    environment = {**os.environ, "COLUMNS": "100"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.endswith("[]\n"), result.stdout[-300:] + result.stderr[-3000:]
    for call in result.stderr.split("CALL ")[1:]:
        line, *told, status = call.strip().splitlines()
        if line.endswith("--help"):
            assert (told, status) == ([], "STATUS 0"), call
        else:
            assert status == "STATUS 2" and len(told) == 1 and told[0].startswith("kvision "), call
            assert not re.search("`[a-z]+_[a-z]+`", told[0]), f"name the flag: {call}"
    for text in result.stdout.split("CALL ")[1:]:
        name, lines = text.split()[0], text.splitlines()
        assert len(lines) <= 80 and max(map(len, lines)) <= 100, f"{name} --help fits two screens"
        assert lines[1].startswith(f"usage: kvision {name}") and "Examples: " in text and "Expect:" not in text


def test_recipe_help_derives_from_its_config_and_needs_no_tensorflow():
    code = (
        "import sys; from kvision import cli\n"
        "try: cli.main(['transfer', '--help'])\n"
        "except SystemExit: pass\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().endswith("False False")
    for text in (
        "--backbone",
        "--train-per-class",
        "--deterministic",
        "--out",
        "--again",
        "default: knn,forest",
        "model:",
    ):
        assert text in " ".join(result.stdout.split())
