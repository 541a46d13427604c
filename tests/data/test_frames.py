import numpy as np
import pytest
import videos
from PIL import Image

import kvision as kv
from kvision.luma_chroma import luma


def save(folder, name, images, numbers=None):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in zip(range(len(images)) if numbers is None else numbers, images, strict=True):
        Image.fromarray(image).save(folder / f"{name}_{number:03}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of images (one with a gap), a gray one, a bad image, and a video of two scenes."""
    root = tmp_path_factory.mktemp("frames")
    save(root / "images", "a", videos.moving(5, seed=1))
    save(root / "images", "b", videos.moving(6, seed=2), [0, 2, 4, 20, 22, 24])
    save(root / "labels", "a", videos.moving(5, seed=1)[..., :1].repeat(3, 3))
    (root / "images" / "b_999.png").write_bytes(b"no image")
    videos.write(root / "film.mp4", np.concatenate([videos.moving(4, seed=3), videos.moving(3, seed=4)]))
    return root


def test_examples_are_frames_with_their_neighbors(folder):
    frames = kv.data.from_clips(folder, neighbors=2, progress=False)
    assert len(frames) == 5 + 6 + 7 and set(frames.clip_names) == {"a", "b", "film.mp4"}
    assert [bad.path for bad in frames.bad] == ["images/b_999.png"]
    assert any("without color" in note for note in frames.notes)
    whole = {name: frames.example(i)[0] for i, name in enumerate(frames.names)}
    near = {
        "images/a_000.png": ("images/a_000.png", "images/a_001.png"),
        "images/a_002.png": ("images/a_001.png", "images/a_003.png"),
        "images/b_004.png": ("images/b_002.png", "images/b_004.png"),  # before a gap
        "images/b_020.png": ("images/b_020.png", "images/b_022.png"),
        "film.mp4#3": ("film.mp4#2", "film.mp4#3"),  # before a cut
        "film.mp4#4": ("film.mp4#4", "film.mp4#5"),
    }
    for name, expected in near.items():
        image, others = frames.example(frames.names.index(name))
        np.testing.assert_array_equal(image, whole[name])
        np.testing.assert_array_equal(others, [whole[one] for one in expected])
    assert frames.original(0).shape == (48, 64, 3) and frames.path(0).endswith("film.mp4")


def test_pairs_hold_the_previous_frame_and_its_neighbors(folder):
    frames = kv.data.from_clips(folder, neighbors=2, pairs=True, progress=False)
    whole = {name: frames.example(i)[0] for i, name in enumerate(frames.names)}
    _, others = frames.example(frames.names.index("images/a_003.png"))
    np.testing.assert_array_equal(others, [whole[f"images/a_{n:03}.png"] for n in (2, 4, 2, 1, 3)])
    _, others = frames.example(frames.names.index("film.mp4#4"))  # the first frame of a scene is its own previous one
    np.testing.assert_array_equal(others, [whole[f"film.mp4#{n}"] for n in (4, 5, 4, 4, 5)])


def test_subsets_keep_their_neighbors_and_the_fingerprint_follows(folder):
    frames = kv.data.from_clips(folder, neighbors=2, progress=False)
    part = frames.subset([3, 1])
    assert part.names == (frames.names[3], frames.names[1]) and len(part.pixel_hashes) == len(part.file_hashes) == 2
    np.testing.assert_array_equal(part.example(0)[1], frames.example(3)[1])
    again = kv.data.from_clips(folder, neighbors=2, progress=False)
    assert again.fingerprint == frames.fingerprint and part.fingerprint == again.subset([3, 1]).fingerprint
    others = [
        kv.data.from_clips(folder, **options, progress=False)
        for options in ({"neighbors": 4}, {"neighbors": 2, "pairs": True}, {"neighbors": 2, "longest_side": 32})
    ]
    prints = {frames.fingerprint, part.fingerprint, frames.subset([1, 3]).fingerprint, *(o.fingerprint for o in others)}
    assert len(prints) == 6
    assert len(frames.some(4)) == 4 and len(set(frames.some(4).names)) == 4 and frames.some(99) is frames


def test_a_video_is_thinned_and_made_smaller(folder):
    frames = kv.data.from_clips(folder, neighbors=2, every=3, longest_side=32, progress=False)
    assert [name for name in frames.names if "#" in name] == ["film.mp4#0", "film.mp4#3", "film.mp4#6"]
    image, others = frames.example(frames.names.index("film.mp4#6"))
    assert image.shape == (24, 32, 3) and not np.array_equal(others[0], image) and np.array_equal(others[1], image)


def test_parts_and_clips_that_are_in_two_parts(tmp_path):
    for part, seed in (("train", 1), ("val", 2)):
        save(tmp_path / part, "same", videos.moving(3, seed=seed))
    save(tmp_path / "train", "other", videos.moving(2, seed=3))
    frames = kv.data.from_clips(tmp_path, neighbors=2, progress=False)
    assert sorted(zip(frames.part, frames.clip_names, strict=True)) == [
        *[("test", "same")] * 3,
        *[("train", "other")] * 2,
        *[("train", "same")] * 3,
    ]
    assert any("same" in note for note in frames.notes)
    assert set(frames.of_clips(["same"]).names) == {
        f"{part}/same_{n:03}.png" for part in ("train", "val") for n in range(3)
    }
    with pytest.raises(kv.UserError, match="names"):
        frames.of_clips(["none"])


def test_no_clip_is_in_both_parts_of_a_split(tmp_path):
    for i in range(6):
        save(tmp_path, f"clip{i}x", videos.moving(i + 1, seed=i))
    frames = kv.data.from_clips(tmp_path, neighbors=2, progress=False)
    sizes = []
    for seed in range(5):
        large, small = kv.data.clip_split(frames, fraction=0.3, seed=seed)
        names = np.array(frames.clip_names)
        assert not set(names[large]) & set(names[small]) and len(small)
        assert sorted([*large, *small]) == list(range(len(frames)))
        sizes.append(len(small))
    assert max(sizes) <= round(0.3 * 21) and len(kv.data.clip_split(frames, fraction=0.01, seed=0)[1]) == 1
    for wrong in ({"fraction": 1.0}, {"fraction": 0.0}):
        with pytest.raises(kv.UserError):
            kv.data.clip_split(frames, seed=0, **wrong)
    with pytest.raises(kv.UserError, match="clips"):
        kv.data.clip_split(frames.of_clips(["clip3x"]), fraction=0.5, seed=0)


def test_batches_for_training(folder):
    pytest.importorskip("cv2", reason="the extra `detection` is not installed")
    augment = kv.augment.FrameAugment(kv.augment.JointAugment(32, 40, scale=(1.0, 1.0), color=0.0))
    frames = kv.data.from_clips(folder, neighbors=2, pairs=True, progress=False)
    batches = kv.data.batches(frames, augment=augment, seed=0, batch_size=4)
    rows = list(batches.tf_dataset())
    assert sum(len(targets) for _, targets in rows) == len(frames)
    inputs, targets = ({name: value.numpy() for name, value in rows[0][0].items()}, rows[0][1].numpy())
    assert inputs["neighbors"].shape == inputs["previous_neighbors"].shape == (4, 32, 40, 2)
    np.testing.assert_array_equal(inputs["image"], targets[..., :3])
    assert (targets[..., 3] == 1).all()
    # the network's target hides nothing: the flow brings the previous frame to this one
    moved = kv.ops.warp(inputs["previous"], inputs["flow"]).numpy()
    wrong = (np.abs(moved - inputs["image"]).mean(axis=3) * inputs["mask"]).sum() / inputs["mask"].sum()
    still = np.abs(inputs["previous"].astype(float) - inputs["image"]).mean()
    assert wrong < max(1.0, 0.5 * still) and inputs["mask"].mean() > 0.3
    # a clip that moves by 2 pixels: the previous frame shows the same 2 pixels further right
    names = [name for name in frames.names if "/a_" in name and "a_000" not in name]
    alone = frames.subset([frames.names.index(name) for name in names])
    inputs, _ = next(iter(kv.data.batches(alone, augment=augment, seed=0, batch_size=4).tf_dataset()))
    sideways = np.median(inputs["flow"][..., 1].numpy()[inputs["mask"].numpy() > 0])
    assert abs(abs(sideways) - 2) < 0.5


def test_without_neighbors_or_pairs_batches_are_images(folder):
    augment = kv.augment.FrameAugment(kv.augment.JointAugment(16, 16))
    frames = kv.data.from_clips(folder, neighbors=0, progress=False)
    inputs, targets = next(iter(kv.data.batches(frames, augment=augment, seed=0, batch_size=2).tf_dataset()))
    assert set(inputs) == {"image"} and targets.shape == (2, 16, 16, 4)
    three = kv.data.from_clips(folder, neighbors=2, progress=False)
    inputs, _ = next(iter(kv.data.batches(three, augment=augment, seed=0, batch_size=2).tf_dataset()))
    assert set(inputs) == {"image", "neighbors"}
    assert np.abs(luma(inputs["image"].numpy())[..., 0] - inputs["neighbors"].numpy().mean(axis=3)).mean() < 30


@pytest.mark.parametrize("options", [{"neighbors": 1}, {"neighbors": -2}, {"every": 0}, {"longest_side": 0}])
def test_other_settings_are_refused(folder, options):
    with pytest.raises(kv.UserError, match=next(iter(options))):
        kv.data.from_clips(folder, **options, progress=False)


def test_a_folder_without_color_is_refused_and_damaged_videos_are_listed(folder, tmp_path):
    save(tmp_path / "gray", "a", videos.moving(2)[..., :1].repeat(3, 3))
    with pytest.raises(kv.UserError, match="color"):
        kv.data.from_clips(tmp_path / "gray", progress=False)
    save(tmp_path / "mixed", "a", videos.moving(2))
    (tmp_path / "mixed" / "film.mp4").write_bytes((folder / "film.mp4").read_bytes()[:300])
    frames = kv.data.from_clips(tmp_path / "mixed", progress=False)
    assert [bad.path for bad in frames.bad] == ["film.mp4"] and len(frames) == 2
