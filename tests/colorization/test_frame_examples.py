import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision import luma_chroma


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(random.integers(0, 256, (20, 24, 3)).astype("uint8")).save(folder / f"clip_{number}.png")
    return kv.data.from_clips(folder, neighbors=2, pairs=True, progress=False)


def test_the_truth_is_the_chroma_of_the_frame_and_a_weight(clips):
    examples = kv.colorization.ColorFrames(clips, "bt709")
    augment = kv.augment.FrameAugment(kv.augment.JointAugment(24, 24, scale=(1, 1), flip=False, color=0.0))
    batches = kv.data.batches(examples, augment=augment, batch_size=4)
    inputs, truth = next(iter(batches.tf_dataset()))
    assert {"image", "neighbors", "previous", "previous_neighbors", "flow", "mask"} == set(inputs)
    spec, targets = examples.spec(24, 24)
    assert {name: tuple(rows.shape[1:]) for name, rows in inputs.items()} == {
        name: tuple(tensor.shape[1:]) for name, tensor in spec.items()
    }
    truth, images = truth.numpy(), inputs["image"].numpy()
    assert truth.shape[1:] == tuple(targets.shape[1:])
    inside = truth[..., 2] == 1
    assert 0.7 < inside.mean() < 0.9  # 20 of 24 rows
    expected = luma_chroma.luma_chroma(images.astype("float64"), "bt709")[..., 1:] / 127.5
    np.testing.assert_allclose(truth[..., :2], expected, atol=1e-5)
    assert not images[~inside].any() and np.abs(truth[inside][:, :2]).mean() > 0.1


def test_names_and_lengths_are_those_of_the_frames(clips):
    examples = kv.colorization.ColorFrames(clips)
    assert len(examples) == 4 and examples.path(2) == clips.path(2)
    np.testing.assert_array_equal(examples.example(1)[1], clips.example(1)[1])
