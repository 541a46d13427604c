import numpy as np
import pytest

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


def pictures(count: int = 3, size=(40, 50)) -> kv.data.Pictures:
    return kv.data.pictures_of(np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype("uint8"))


def augment(**options) -> kv.colorization.ColorAugment:
    joint = kv.augment.JointAugment(32, 48, scale=(1.0, 1.0), flip=False, color=0.0)
    return kv.colorization.ColorAugment(joint, **options)


def test_the_truth_is_the_chroma_of_the_changed_picture():
    image, found = augment(standard="bt709")(pictures().example(0)[0], None, np.random.default_rng(0))
    expected = luma_chroma.luma_chroma(image.astype("float64"), "bt709")[..., 1:] / 127.5
    np.testing.assert_allclose(found["truth"][..., :2], expected, atol=1e-5)
    assert (found["truth"][..., 2] == 1).all() and set(found) == {"truth"}


def test_pixels_outside_of_the_picture_have_no_weight():
    joint = kv.augment.JointAugment(64, 64, scale=(1.0, 1.0), flip=False, color=0.0)
    image, found = kv.colorization.ColorAugment(joint)(pictures().example(0)[0], None, np.random.default_rng(0))
    inside = found["truth"][..., 2] == 1
    assert inside.sum() == 40 * 50 and not image[~inside].any()


def test_points_and_hints():
    image, found = augment(points=100, hints=True)(pictures().example(0)[0], None, np.random.default_rng(1))
    places = found["points"] * [32, 48] - 0.5
    rows, columns = places.round().astype(int).T
    np.testing.assert_allclose(places, places.round(), atol=1e-4)
    assert len({*zip(rows.tolist(), columns.tolist(), strict=True)}) == 100
    expected = luma_chroma.luma_chroma(image)[rows, columns, 1:] / 127.5
    np.testing.assert_allclose(found["truth"][:, :2], expected, atol=1e-5)
    assert found["hints"].shape == (32, 48, 3)
    many = augment(points=32 * 48 + 5)(pictures().example(0)[0], None, np.random.default_rng(1))[1]
    assert many["points"].shape == (32 * 48 + 5, 2)


@pytest.mark.parametrize("options", [{}, {"hints": True}, {"points": 20}, {"hints": True, "points": 20}])
def test_batches_have_the_declared_form_and_replay(options):
    change = augment(**options)
    examples = kv.colorization.ColorExamples(pictures(), change)
    inputs, truth = examples.spec(32, 48)
    batches = [kv.data.batches(examples, augment=change, batch_size=2, seed=3) for _ in range(2)]
    first, again = (next(iter(one.tf_dataset())) for one in batches)
    if not options:  # the picture alone
        first, again, inputs = ({"image": first[0]}, first[1]), ({"image": again[0]}, again[1]), {"image": inputs}
    assert set(first[0]) == set(inputs) == {"image", *options} and first[1].shape[1:] == truth.shape[1:]
    for name, spec in inputs.items():
        assert first[0][name].shape[1:] == spec.shape[1:] and first[0][name].dtype.name == spec.dtype
        np.testing.assert_array_equal(first[0][name], again[0][name])
    assert len(examples) == 3 and examples.path(1) == "1"


def test_wrong_numbers_are_told():
    with pytest.raises(UserError, match="`points`"):
        augment(points=-1)
