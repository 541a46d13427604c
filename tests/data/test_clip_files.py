import hashlib

import numpy as np
import pytest
import videos
from PIL import Image

import kvision as kv
from kvision.data import clip_files, clips
from kvision.pixels import pillow


def test_images_of_a_clip_and_bad_ones(tmp_path):
    images = videos.moving(4)
    for number, image in zip((1, 2, 3, 9), images, strict=True):
        Image.fromarray(image).save(tmp_path / f"a_{number}.png")
    (tmp_path / "a_2.png").write_bytes(b"no image")
    (found,) = clips.find(tmp_path)
    clip, bad = clip_files.read_images(found)
    assert clip is not None and [path.name for path, _ in bad] == ["a_2.png"]
    assert clip.labels == ("a_1.png", "a_3.png", "a_9.png") and clip.scenes.tolist() == [0, 0, 0]
    assert clip.file_hashes[0] == hashlib.sha256((tmp_path / "a_1.png").read_bytes()).hexdigest()
    assert clip.colorful and clip.sizes == ((48, 64),) * 3
    np.testing.assert_array_equal(clip.frame(1, None), images[2])
    np.testing.assert_array_equal(clip.frame(1, 32), pillow.fit(images[2], 32))
    Image.fromarray(images[0]).save(tmp_path / "a_3.png")
    with pytest.raises(kv.UserError, match="changed"):
        clip.frame(1, None)


def test_gray_images_have_no_color(tmp_path):
    Image.fromarray(videos.moving(1)[0]).convert("L").save(tmp_path / "a_1.png")
    clip, _ = clip_files.read_images(clips.find(tmp_path)[0])
    assert clip is not None and not clip.colorful


@pytest.mark.parametrize(("every", "reach", "stored"), [(1, 1, 9), (4, 1, 7), (4, 0, 3), (3, 1, 9)])
def test_a_video_is_stored_as_far_as_examples_need_it(tmp_path, every, reach, stored):
    images = np.concatenate([videos.moving(5, seed=1), videos.moving(4, seed=2)])
    path = videos.write(tmp_path / "film.mp4", images)
    clip, problem = clip_files.read_video(clips.find(tmp_path)[0], longest_side=32, every=every, reach=reach)
    assert not problem and clip.pixels is not None and clip.places is not None
    assert clip.scenes.tolist() == [0] * 5 + [1] * 4
    needed = {j for i in range(0, 9, every) for j in range(i - reach, i + reach + 1) if 0 <= j < 9}
    assert needed <= {i for i, place in enumerate(clip.places) if place >= 0} and len(clip.pixels) == stored
    for i in needed:
        assert np.abs(clip.frame(i, 32).astype(int) - pillow.fit(images[i], 32)).max() <= 6
    assert len(set(clip.pixel_hashes)) == 9 and clip.sizes[0] == (48, 64)
    assert clip.file_hashes[3] == hashlib.sha256(path.read_bytes()).hexdigest() + "#3"


def test_windows_stay_inside_of_scenes(tmp_path):
    videos.write(tmp_path / "film.mp4", np.concatenate([videos.moving(3, seed=1), videos.moving(2, seed=2)]))
    clip, _ = clip_files.read_video(clips.find(tmp_path)[0], longest_side=None, every=1, reach=2)
    assert [clip.window(i, 2) for i in range(5)] == [
        [0, 0, 1, 2],
        [0, 0, 2, 2],
        [0, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]
