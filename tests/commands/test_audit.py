import csv
import json
import sys

import forks
import numpy as np
import pytest
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = ["--backbone", "Small", "--weights", "none", "--image-size", "32"]


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Bright and dark pictures in two parts; two wrong labels, a copy across the parts, and noise."""
    root, random = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    for part, count in {"train": 20, "test": 5}.items():
        for name, level in {"bright": 200, "dark": 40}.items():
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(random.normal(level, 8, (32, 32, 3)), 0, 255).astype("uint8")
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    (root / "train/bright/3.png").rename(root / "train/dark/wrong.png")
    (root / "train/dark/copy.png").write_bytes((root / "test/dark/1.png").read_bytes())
    for name, number in {"bright": 5, "dark": 6}.items():
        (root / "val" / name).mkdir(parents=True)
        (root / "val" / name / "copy.png").write_bytes((root / "train" / name / f"{number}.png").read_bytes())
    (root / "train/dark/broken.png").write_bytes(b"not an image")
    noise = random.integers(0, 2, (32, 32, 3)).astype("uint8") * 255
    Image.fromarray(noise).save(root / "test/dark/noise.png")
    return root


def test_list_pictures_and_choices(folder, tmp_path):
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    arguments = [str(folder), "--out", str(tmp_path / "out"), *SMALL, "--apply", "--json", "--next", "2"]
    result = within(cli.main, "audit", *arguments, "--unlabeled", str(folder / "test"))
    assert result.returncode == 0, result.stderr
    rows = read(tmp_path / "out/audit.csv")
    assert [*rows[0]] == ["path", "label", "suggested", "score", "kind"]
    assert [{**row, "score": str(row["score"])} for row in json.loads(result.stdout)] == rows
    assert [float(row["score"]) for row in rows] == sorted((float(row["score"]) for row in rows), reverse=True)
    found = {(row["kind"], row["path"]): row for row in rows}
    assert found["duplicate", "train/dark/copy.png"]["suggested"] == "test/dark/1.png"
    assert found["label", "train/dark/wrong.png"]["suggested"] == "bright"
    assert ("unlike", "test/dark/noise.png") in found
    assert not any(row["path"] == "test/dark/1.png" and row["kind"] == "duplicate" for row in rows)
    left_out = (tmp_path / "out/leave_out.txt").read_text().splitlines()
    assert {"train/dark/copy.png", "train/bright/5.png"} <= set(left_out)
    assert "broken.png" in result.stderr and (tmp_path / "out/contact_sheet.png").stat().st_size > 1000
    following = read(tmp_path / "out/label_next.csv")
    assert len(following) == 2 and {row["guess"] for row in following} <= {"bright", "dark"}
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before, "no file is touched"


def test_arrays_are_named_by_part_and_index(tmp_path):
    images, labels, names = kv.data.digits()
    images, labels = images[:200], labels[:200].copy()
    images[150] = images[7]
    arrays = {"x_train": images[:140], "y_train": labels[:140], "x_test": images[140:], "y_test": labels[140:]}
    np.savez(tmp_path / "digits.npz", **arrays, class_names=names)
    arguments = [str(tmp_path / "digits.npz"), "--out", str(tmp_path / "out"), *SMALL, "--apply"]
    result = within(cli.main, "audit", *arguments)
    assert result.returncode == 0, result.stderr
    rows = read(tmp_path / "out/audit.csv")
    (copy,) = [row for row in rows if row["kind"] == "duplicate"]
    assert copy["path"] == "train/7" and copy["suggested"] == "test/10"
    left_out = set((tmp_path / "out/leave_out.txt").read_text().splitlines())
    suspicious = {row["path"] for row in rows if row["kind"] == "label"}
    assert "train/7" in left_out and left_out - suspicious <= {"train/7"}
    assert 0 < len(left_out & suspicious) < len(suspicious), "confident learning counts some of them as wrong"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "names no folder"),
        ([".", "--backbone", "Nothing"], "--backbone"),
        ([".", "--backbone", "EfficientNetLite0", "--image-size", "8"], "--image-size"),
        ([".", "--unlabeled", "nowhere"], "--unlabeled"),
        ([".", "--next", "0"], "--next"),
    ],
)
def test_wrong_arguments_are_told(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = within(cli.main, "audit", *arguments)
    assert result.returncode == 2 and text in result.stderr


@pytest.mark.slow
def test_the_command_as_a_process(folder, tmp_path):
    command = [sys.executable, "-m", "kvision", "audit", str(folder), "--out", str(tmp_path), "--weights", "none"]
    command += ["--backbone", "ResNet20"]
    result = forks.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and "audit.csv" in result.stdout
