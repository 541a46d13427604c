import csv

import numpy as np
import pytest

import kvision as kv
from kvision import runs
from kvision.checks import UserError


def images(count: int, seed: int) -> kv.data.Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3)).astype("uint8")
    return kv.data.from_arrays(pixels, np.arange(count) % 2, image_size=4)


def split(validation: kv.data.Images | None = None) -> runs.Split:
    return runs.Split(images(20, 0), images(6, 1), ("0", "1"), (), "", "", validation=validation)


def test_a_part_of_the_training_images(tmp_path):
    pool = runs.Pool.of(split(), seed=0)
    assert len(pool.train) == 16 and np.bincount(pool.labels[pool.validation]).tolist() == [2, 2]
    assert pool.final.tolist() == list(range(20)) and sorted([*pool.train, *pool.validation]) == list(range(20))
    train, validation = pool.parts
    assert (len(train), len(validation)) == (16, 4) and not set(train.names) & set(validation.names)
    pool.write_manifest(tmp_path / "manifest.csv", images(6, 1))
    with (tmp_path / "manifest.csv").open(newline="") as file:
        rows = [row["split"] for row in csv.DictReader(file)]
    assert [rows.count(name) for name in ("train", "validation", "test")] == [16, 4, 6]


def test_a_given_part_is_kept_out_of_the_final_fit():
    pool = runs.Pool.of(split(images(8, 2)), seed=0)
    assert pool.train.tolist() == pool.final.tolist() == list(range(20))
    assert pool.validation.tolist() == list(range(20, 28)) and len(pool.labels) == 28
    assert [len(part) for part in pool.parts] == [20, 8]


def test_too_few_images_for_two_parts():
    few = runs.Split(images(3, 0), images(6, 1), ("0", "1"), (), "", "")
    with pytest.raises(UserError):
        runs.Pool.of(few, seed=0)
