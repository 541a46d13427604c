import itertools

import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError
from kvision.data import batches, from_arrays, from_folder, scan
from kvision.pixels import pillow

SIZE = 12


@pytest.fixture
def photos(pictures):
    return from_folder(scan(pictures, progress=False), image_size=SIZE, batch_size=3)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (50, 6, 9, 3), dtype=np.uint8)


def _joined(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_a_folder_in_order(photos, pictures):
    assert len(photos) == 7
    sizes = [len(labels) for _, labels in photos]
    assert sizes == [3, 3, 1]
    images, labels = _joined(photos)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    assert labels.tolist() == photos.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    for name, image in zip(photos.names, images, strict=True):
        expected = pillow.load((pictures / name).read_bytes(), SIZE)
        assert np.abs(image.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(_joined(photos)[0], images)  # a second pass is the first


def test_arrays_pass_through_at_their_own_size():
    squares = np.random.default_rng(0).integers(0, 256, (50, SIZE, SIZE, 3), dtype=np.uint8)
    images, labels = _joined(from_arrays(squares, np.arange(50) % 7, image_size=SIZE, batch_size=16))
    np.testing.assert_array_equal(images, squares)
    np.testing.assert_array_equal(labels, np.arange(50) % 7)


def test_gray_arrays_get_three_equal_channels(noise):
    gray = from_arrays(noise[..., 0], image_size=SIZE)
    color = from_arrays(np.repeat(noise[..., :1], 3, 3), image_size=SIZE)
    np.testing.assert_array_equal(_joined(gray)[0], _joined(color)[0])
    assert gray.pixel_hashes.tolist() == color.pixel_hashes.tolist()
    np.testing.assert_array_equal(gray.original(3), color.original(3))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("shape", [(SIZE, SIZE), (SIZE, SIZE + 2), (SIZE + 3, SIZE)])
def test_a_batch_copied_at_once_is_the_one_made_image_by_image(shape, gray):
    pixels = np.random.default_rng(1).integers(0, 256, (30, *shape) + (() if gray else (3,)), dtype=np.uint8)
    images = from_arrays(pixels, np.arange(30) % 3, image_size=SIZE, batch_size=8).subset(np.arange(29, 2, -2))
    assert images.decoded == (shape == (SIZE, SIZE))
    each = np.stack([images.image(i) for i in range(len(images))])
    rows = np.array([5, 0, 0, 11])
    np.testing.assert_array_equal(images.take(rows), each[rows])
    np.testing.assert_array_equal(_joined(images)[0], each)
    np.testing.assert_array_equal(np.concatenate([image for image, _ in images.batches()]), each)
    batch = batches(images, fields=("image", "index")).source.read(rows)[0]
    np.testing.assert_array_equal(batch["image"], each[rows])
    np.testing.assert_array_equal(batch["index"], rows)


def test_an_array_and_its_files_are_the_same_images(pictures, photos):
    originals = np.stack([photos.original(i) for i in range(len(photos))])
    same = from_arrays(originals, photos.labels, image_size=SIZE)
    assert same.pixel_hashes.tolist() == photos.pixel_hashes.tolist()
    np.testing.assert_array_equal(_joined(same)[0], _joined(photos)[0])


def test_subset_keeps_everything_aligned(photos, noise):
    images, _ = _joined(photos)
    chosen = photos.subset(np.array([5, 0, 4])).subset(np.array([2, 0]))
    np.testing.assert_array_equal(_joined(chosen)[0], images[[4, 5]])
    assert chosen.names.tolist() == [photos.names[4], photos.names[5]]
    assert chosen.labels.tolist() == [1, 1]
    assert chosen.path(1) == photos.path(5)
    np.testing.assert_array_equal(chosen.original(0), photos.original(4))
    whole = from_arrays(noise, image_size=SIZE)
    part = whole.subset(np.array([7, 3]))
    np.testing.assert_array_equal(part.original(0), noise[7])
    assert part.names.tolist() == ["7", "3"]
    assert part.source is whole.source  # an array of gigabytes is not copied


def test_another_size_is_read_from_the_files_again(pictures, tmp_path):
    found = scan(pictures, progress=False)
    store = kv.data.PixelStore(tmp_path / "pixels.bin", SIZE)
    small = from_folder(found, image_size=SIZE, pixels=store, batch_size=3)
    assert small.at_size(SIZE) is small
    list(small)  # fills the store
    large = from_folder(found, image_size=20, batch_size=3)
    np.testing.assert_array_equal(_joined(small.at_size(20))[0], _joined(large)[0])
    assert small.at_size(20).fingerprint == large.fingerprint != small.fingerprint


def test_each_epoch_is_a_new_permutation_of_all(photos, noise):
    marks = np.arange(50)
    images = from_arrays(noise, marks, image_size=6, batch_size=8)
    shuffled = images.batches(shuffle_seed=3)
    epochs = [_joined(shuffled.as_numpy_iterator())[1] for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == marks.tolist()
        assert np.abs(epoch - marks).max() > 25  # not a small buffer's shuffle
    assert {tuple(epoch) for epoch in epochs} == {tuple(e) for e in epochs}
    assert len({tuple(epoch) for epoch in epochs}) == 3
    tf.random.set_seed(99)  # the order is the seed's and the epoch's alone
    again = images.batches(shuffle_seed=3)
    np.testing.assert_array_equal(_joined(again.as_numpy_iterator())[1], epochs[0])
    resumed = images.batches(shuffle_seed=3, first_epoch=2)
    np.testing.assert_array_equal(_joined(resumed.as_numpy_iterator())[1], epochs[2])
    other = images.batches(shuffle_seed=4)
    assert _joined(other.as_numpy_iterator())[1].tolist() != epochs[0].tolist()


@pytest.mark.parametrize("drop", [False, True])
def test_shapes_and_counts_are_known_to_fit(photos, noise, drop):
    for images in (photos, from_arrays(noise, image_size=SIZE, batch_size=3)):
        for seed in (None, 0):
            made = images.batches(shuffle_seed=seed, drop_remainder=drop)
            count = len(images) // 3 if drop else -(-len(images) // 3)
            assert made.options().autotune.enabled is False, "the end of an epoch can wait for it"
            assert made.cardinality() == count == sum(1 for _ in made)
            assert made.element_spec == (
                tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8),
                tf.TensorSpec((None,), tf.int32),
            )


def test_shuffled_images_keep_their_labels(photos):
    plain = {image.tobytes(): label for image, label in zip(*_joined(photos), strict=True)}
    assert len(plain) == 6  # two are copies
    for image, label in zip(*_joined(photos.batches(shuffle_seed=1).as_numpy_iterator()), strict=True):
        assert plain[image.tobytes()] == label


def test_fingerprint(photos, pictures, paint, noise):
    def again(size=SIZE):
        return from_folder(scan(pictures, progress=False), image_size=size).fingerprint

    assert again() == photos.fingerprint  # the batch size is not content
    seen = {
        photos.fingerprint,
        again(SIZE + 1),
        photos.subset(np.arange(6)).fingerprint,
        photos.subset(np.arange(7)[::-1]).fingerprint,
        from_arrays(noise, image_size=SIZE).fingerprint,
    }
    with (pictures / "cat/a.png").open("ab") as stream:
        stream.write(b"\0")  # the same pixels, another byte
    seen.add(again())
    changed = noise.copy()
    changed[-1, -1, -1, -1] ^= 1
    seen.add(from_arrays(changed, image_size=SIZE).fingerprint)
    assert len(seen) == 7


@pytest.mark.parametrize(("damage", "reason"), [("gone", "No such file"), ("torn", "damaged"), ("text", "not a JPEG")])
def test_a_file_that_changed_is_named(photos, pictures, damage, reason):
    path = pictures / "dog/a.PNG"
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-30] if damage == "torn" else b"hello")
    with pytest.raises(UserError, match=f"{path} has changed since it was scanned: .*{reason}"):
        list(photos)
    with pytest.raises(tf.errors.OpError, match=str(path)):  # inside of fit
        list(photos.batches(shuffle_seed=0))
    good = photos.subset(np.array([0, 1, 2]))
    assert sum(len(labels) for _, labels in good) == 3


def test_an_early_end_is_no_error(photos):
    assert len(list(itertools.islice(photos, 1))) == 1


def test_arguments_are_checked(noise):
    for bad in (noise.astype("float32"), noise[..., :2], noise[0, 0]):
        with pytest.raises(UserError, match=r"`images`.*uint8"):
            from_arrays(bad, image_size=SIZE)
    with pytest.raises(UserError, match=r"`labels`.*50"):
        from_arrays(noise, [1, 2], image_size=SIZE)
    with pytest.raises(UserError, match=r"`labels`.*0 to 1"):
        from_arrays(noise, np.arange(50), class_names=["a", "b"], image_size=SIZE)
    with pytest.raises(UserError, match="`image_size`"):
        from_arrays(noise, image_size=0)
    with pytest.raises(UserError, match="`batch_size`"):
        from_arrays(noise, image_size=SIZE, batch_size=0)
    with pytest.raises(UserError, match="empty"):
        from_arrays(noise, image_size=SIZE).subset(np.array([], int))


def test_keras_fits_on_it(photos):
    import keras

    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(photos.batches(shuffle_seed=0), validation_data=photos.batches(), epochs=2, verbose=0, shuffle=False)
    assert model.optimizer.iterations.numpy() == 6


def test_folders_of_a_path_names_what_it_leaves_out(pictures):
    broken = pictures / "cat" / "broken.jpg"
    broken.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"1 images cannot be used[\s\S]*broken.jpg: the file is empty"):
        images = from_folder(pictures, image_size=SIZE)
    assert len(images) == len(from_folder(scan(pictures, progress=False), image_size=SIZE))


def test_images_go_into_every_fit(eager):
    """Permuted by the seed, as arrays are; Keras' own `fit` says what it takes of them."""
    import keras

    pixels, labels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype="uint8"), np.arange(12) % 2
    images = kv.data.from_arrays(pixels, labels, image_size=8, batch_size=5)

    def model():
        keras.utils.set_random_seed(0)
        image = keras.Input((8, 8, 3), name="image")
        backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image)))
        made = kv.transfer.attach(backbone, 2)
        made.compile("sgd", "sparse_categorical_crossentropy")
        return made

    options = {"epochs": 2, "seed": 4, "verbose": 0, "validation_data": images}
    arrays = kv.training.fit(model(), pixels, labels, batch_size=5, **options).history
    assert kv.training.fit(model(), images, **options).history["loss"] == pytest.approx(arrays["loss"])
    phases = [kv.schedules.Phase(0, "top", 1e-4)]
    assert kv.schedules.fit(model(), images, phases, epochs=1, validation_data=images, verbose=0).history["val_loss"]
    assert len(kv.schedules.find_learning_rate(model(), images, steps=10, learning_rates=(1e-30, 1e-29)).losses) == 10
    trained = model()
    assert kv.training.evaluate(trained, images, verbose=0)["loss"] > 0
    np.testing.assert_allclose(kv.training.predict(trained, images, verbose=0), trained(pixels), atol=1e-6)
    with pytest.raises(ValueError, match=r"12 images of 8 px, 2 classes; Keras' own `fit` takes \.batches"):
        trained.fit(images)
    assert trained.fit(images.batches(shuffle_seed=0), shuffle=False, verbose=0).history["loss"]
