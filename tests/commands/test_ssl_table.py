import json
import re
import signal
import subprocess
import sys

import forks
import numpy as np
import pytest
import small_backbone
from PIL import Image
from processes import within

from kvision import selfsup
from kvision.checks import UserError
from kvision.commands import ssl_table
from kvision.exit_codes import RUN_AGAIN

SMOKE = ("--smoke", "--image-size", "16", "--out")


def run(out, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kvision", "ssl-table", *SMOKE, str(out)]
    return forks.run([*command, *arguments], capture_output=True, text=True)


METHODS = ("moco_v2", "mae")  # a momentum twin, a ViT


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("table")
    with small_backbone.as_encoders():
        result = within(ssl_table.main, *SMOKE, out, "--methods", ",".join(METHODS))
    assert result.returncode == 0, result.stderr
    (folder,) = (out / "runs").iterdir()
    return out, result.stdout, folder


def test_text_json_and_picture(finished):
    _, printed, folder = finished
    table = json.loads((folder / "table.json").read_text())
    assert set(table["rows"]) == {"untrained ResNet18", "untrained ViT", *METHODS}
    assert list(table["rows"])[:2] == ["untrained ResNet18", "untrained ViT"]
    assert {"data", "seed", "device", "command", "notes", "bad_images"} <= set(table)
    text = (folder / "table.txt").read_text()
    assert text in printed and text.splitlines()[0].split()[:4] == ["method", "encoder", "parameters", "KNN"]
    for name, row in table["rows"].items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"{name}  "))
        assert f"{row['knn']:.3f}" in line and f"{row['linear']:.3f}" in line and f"{row['parameters']:,}" in line
        assert re.search(rf"  {row['knn_near']:.3f} +{row['linear']:.3f}  ", line)
        assert line.endswith(f"  {row['images_per_second']:,.0f}" if name in METHODS else "  -")
        assert row["linear_interval"][0] <= row["linear"] <= row["linear_interval"][1]
        assert 0.1 < row["linear"] <= 1, "above chance"
    assert {row["device"] for row in table["rows"].values()} == {table["device"]}
    assert table["rows"]["moco_v2"]["epochs"] == 2 and table["rows"]["moco_v2"]["seconds"] > 0
    assert (folder / "table.png").stat().st_size > 5000
    assert not list(folder.glob("checkpoints/*/*.npz")), "what only a resumed training needs is gone"


def test_a_new_row_joins_the_finished_ones_and_a_failure_costs_only_its_own(finished, small_encoders, monkeypatch):
    out, _, folder = finished
    before = {path: path.read_bytes() for path in folder.glob("*-*.json")}
    result = within(ssl_table.main, *SMOKE, out, "--methods", "supervised")
    assert result.returncode == 0, result.stderr
    assert all(path.read_bytes() == content for path, content in before.items())
    assert result.stdout.count("Epoch 1/") == 1, "that of the new row"
    table = json.loads((folder / "table.json").read_text())
    assert set(table["rows"]) == {"untrained ResNet18", "untrained ViT", *METHODS, "supervised"}
    real = ssl_table.pretrain

    def pretrain(method, *arguments, **options):
        if method == "moco":
            raise UserError("not this one")
        return real(method, *arguments, **options)

    monkeypatch.setattr(ssl_table, "pretrain", pretrain)
    failing = within(ssl_table.main, *SMOKE, out, "--methods", "moco,supervised")
    assert failing.returncode == 1 and "Epoch" not in failing.stdout
    assert "moco failed: not this one" in failing.stderr and "without moco (above)" in failing.stderr
    assert "\nsupervised" in failing.stdout


def test_its_rows_are_all_methods_where_none_is_named(tmp_path, capsys):
    """Told by a batch that none of them can make."""
    assert ssl_table.main(["--smoke", "--batch-size", "500", "--out", str(tmp_path)]) == 1
    assert f"without {', '.join(selfsup.METHODS)} (above)" in capsys.readouterr().err


@pytest.mark.slow
def test_all_rows(tmp_path):
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr
    (table,) = tmp_path.glob("runs/*/table.json")
    assert set(json.loads(table.read_text())["rows"]) == {"untrained ResNet18", "untrained ViT", *selfsup.METHODS}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--methods", "simclear"], "`--methods` is not known.*Did you mean 'simclr'"),
        (["--learning-rate", "1"], "`--learning-rate` is not valid. Expected no value: each method has its own"),
        (["--minutes", "nan"], "`--minutes` is not valid"),
        (["--epochs", "2", "--minutes", "1"], "`--minutes` is not valid. Expected no `--epochs` beside it"),
    ],
)
def test_wrong_calls_say_what_to_do(arguments, text, capsys, tmp_path):

    assert ssl_table.main([*arguments, "--out", str(tmp_path)]) == 2
    assert re.search(text, capsys.readouterr().err)


def test_rows_of_several_devices_and_a_width_that_is_not_theirs_are_told(tmp_path, monkeypatch, capsys):
    def judged(config, *_, **__):
        raise UserError("enough")

    monkeypatch.setattr(ssl_table, "pretrain", judged)
    assert ssl_table.main(["--smoke", "--methods", "mae", "--width", "8", "--out", str(tmp_path)]) == 1
    assert "mae: --width 8 is for the ResNet; its ViT keeps its own width" in capsys.readouterr().out
    (folder,) = (tmp_path / "runs").iterdir()
    row = {"method": "mae", "encoder": "x", "parameters": 1, "device": "NVIDIA X"}
    row |= {"knn": 0.5, "knn_near": 0.5, "knn_interval": [0, 1], "linear": 0.5, "linear_interval": [0, 1]}
    for name, device in (("mae", "NVIDIA X"), ("moco", "2 CPU cores")):
        (folder / f"row-{name}.json").write_text(json.dumps(row | {"method": name, "device": device}))
    ssl_table.main(["--smoke", "--methods", "mae", "--width", "8", "--out", str(tmp_path)])
    assert json.loads((folder / "table.json").read_text())["device"] == "2 CPU cores; NVIDIA X"


def test_sigterm_outside_of_a_training_asks_to_be_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ssl_table, "load", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert ssl_table.main(["--smoke", "--out", str(tmp_path)]) == RUN_AGAIN
    assert "ended by SIGTERM. Run the same command again" in capsys.readouterr().err


def test_images_without_labels_train_all_but_the_supervised_row(tmp_path, monkeypatch):
    trained = {}

    def pretrain(method, images, *_, watch):
        trained[method] = len(images), len(watch[0]), len(watch[1])
        raise UserError("enough")

    monkeypatch.setattr(ssl_table, "pretrain", pretrain)
    random = np.random.default_rng(0)
    for number in range(7):
        Image.fromarray(random.integers(0, 256, (9, 9, 3), "uint8")).save(tmp_path / f"{number}.png")
    arguments = [
        "--smoke",
        "--methods",
        "npid,supervised",
        "--unlabeled",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert ssl_table.main([*arguments, "--out", str(tmp_path / "out")]) == 1
    assert trained == {"npid": (7, 120, 100), "supervised": (120, 120, 100)}
