import dataclasses

import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.checks import UserError
from kvision.luma_chroma import luma
from kvision.runs import clips
from kvision.runs.colored import ColorSettings

CONFIG = dataclasses.replace(ColorSettings(), frames=3)


def write(folder, clip: str, numbers) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(clip))
    still = np.kron(random.integers(40, 200, (5, 6, 3)), np.ones((8, 8, 1))).astype("uint8")
    for number in numbers:
        image = np.roll(still, number, axis=1)
        Image.fromarray(image).save(folder / f"{clip}_{number:03d}.png")


def loaded(folder, **options):
    return clips.load(dataclasses.replace(CONFIG, data=str(folder), **options), weights=None, smallest=32)


def test_parts_of_folders_whole_clips_and_the_end_of_a_single_clip(tmp_path):
    write(tmp_path / "parts/train", "a", range(6))
    write(tmp_path / "parts/test", "bb", range(4))
    data = loaded(tmp_path / "parts", test_images=3)
    assert (len(data.train), len(data.test)) == (6, 3) and data.train.pairs and not data.test.pairs
    assert [name[-7:] for name in data.test.names] == ["000.png", "001.png", "002.png"]
    assert not loaded(tmp_path / "parts", temporal_weight=0.0).train.pairs
    for clip, count in {"a": 4, "bb": 4, "ccc": 4, "dddd": 3}.items():
        write(tmp_path / "clips", clip, range(count))
    data = loaded(tmp_path / "clips")
    assert len(data.test) == 3 and not set(data.train.clip_names) & set(data.test.clip_names)
    write(tmp_path / "one", "a", range(10))
    data = loaded(tmp_path / "one")
    assert [len(data.train), len(data.test)] == [8, 2] and data.test.names == ("a_008.png", "a_009.png")
    assert any("one clip" in note for note in data.notes)


def test_wrong_folders_are_told(tmp_path):
    write(tmp_path / "half/train", "a", range(3))
    (tmp_path / "half/test").mkdir()
    write(tmp_path / "short", "a", range(2))
    for folder in ("half", "short"):
        with pytest.raises(UserError, match="`data`"):
            loaded(tmp_path / folder)


def test_neighbors_are_the_luma_of_the_frames_beside(tmp_path):
    write(tmp_path, "a", range(5))
    frames = kv.data.from_clips(tmp_path, neighbors=2, pairs=True, progress=False)
    found = clips.neighbors_of(frames, 2)
    expected = [luma(frames.original(i).astype("float32"))[..., 0] for i in (1, 3)]
    np.testing.assert_allclose(found, np.stack(expected, axis=2), rtol=1e-6)


def test_flicker_counts_frames_that_follow_each_other(tmp_path):
    write(tmp_path, "a", range(6))
    write(tmp_path, "bb", range(6))
    frames = kv.data.from_clips(tmp_path, neighbors=0, progress=False)
    steady = clips.flicker(lambda i, image: image.astype("float32"), frames)
    assert steady["pairs"] == 10
    nervous = clips.flicker(lambda i, image: image + np.array([20.0, 0, -20]) * (i % 2), frames)
    assert nervous["warp_error_chroma"] > 20 * steady["warp_error_chroma"]
    some = clips.flicker(lambda i, image: image, frames.subset([0, 1, 4, 7, 9]))
    assert some["pairs"] == 1
    assert clips.flicker(lambda i, image: image, frames.subset([0, 2, 4])) == {}
