import numpy as np
import videos

import kvision as kv


def test_all_frames_get_the_same_changes():
    augment = kv.augment.FrameAugment(kv.augment.JointAugment(40, 48, rotate=0.3, color=0.3))
    image = videos.moving(1)[0]
    for seed in range(5):
        found, others = augment(image, np.stack([image, image]), np.random.default_rng(seed))
        assert found.shape == (40, 48, 4) and others.shape == (2, 40, 48, 4)
        np.testing.assert_array_equal(others, np.stack([found, found]))
    first, second = (augment(image, image[None], np.random.default_rng(seed))[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_it_is_the_joint_augmentation_with_a_plane_of_weights():
    joint = kv.augment.JointAugment(64, 64, scale=(0.5, 0.5), flip=False, color=0.0)
    image = videos.moving(1)[0] // 2 + 100  # nothing is black
    found, others = kv.augment.FrameAugment(joint)(image, np.zeros((0, 48, 64, 3), "uint8"), np.random.default_rng(0))
    assert others.shape == (0, 64, 64, 4)
    np.testing.assert_array_equal(found[..., 3] == 1, found[..., :3].min(axis=2) > 0)
    assert 0.1 < found[..., 3].mean() < 0.9


def test_motion_stays_as_it_is():
    frames = videos.moving(3, step=4)
    augment = kv.augment.FrameAugment(kv.augment.JointAugment(48, 40, scale=(1, 1), flip=False, color=0.0))
    image, others = augment(frames[1], frames[[0, 2]], np.random.default_rng(0))
    np.testing.assert_array_equal(others[0][:, 4:], image[:, :-4])
    np.testing.assert_array_equal(image[:, 4:], others[1][:, :-4])
