import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError


def test_the_mean_of_the_plain_image_and_its_changed_copies():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()])
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype="uint8")
    keys = []

    def augment(batch, key):
        keys.append(tuple(np.asarray(key)))
        return kv.augment.RandomResizedCrop(8, area=(0.3, 0.9))(batch, key)

    found = kv.features.averaged(model, images, augment, views=3, seed=5, progress=False)
    assert len(set(keys)) == len(keys) == 4, "two batches, two changed views"
    copies = [images.astype("float32")]
    crop = kv.augment.RandomResizedCrop(8, area=(0.3, 0.9))
    copies += [
        np.concatenate([np.asarray(crop(images[s], keys[2 * v + i])) for i, s in enumerate((slice(32), slice(32, 40)))])
        for v in range(2)
    ]
    expected = np.mean([np.asarray(model(copy)) for copy in copies], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    plain = kv.features.averaged(model, images, augment, views=1, progress=False)
    np.testing.assert_array_equal(plain, kv.features.embed(model, images, progress=False))
    assert np.abs(plain - found).max() > 1
    data = kv.data.from_arrays(images, np.arange(40) % 2, class_names=["a", "b"], image_size=8)
    again = kv.features.averaged(model, data, augment, views=3, seed=5, progress=False)
    np.testing.assert_allclose(again, found, rtol=1e-5, atol=1e-4)
    with pytest.raises(UserError, match="`views`"):
        kv.features.averaged(model, images, augment, views=0)
