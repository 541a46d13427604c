import boxed
import keras
import numpy as np
import pytest
import scenes
from PIL import Image

import kvision as kv
from kvision.checks import UserError
from kvision.training.source import Position


@pytest.fixture
def photographs(tmp_path):
    """Forty images of two classes, each of one gray that tells its number."""
    for number in range(40):
        folder = tmp_path / ("dark" if number < 20 else "light")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (6 * number,) * 3).save(folder / f"{number:02}.png")
    return kv.data.from_folder(tmp_path, image_size=8, batch_size=6)


def read(source, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [source.read(rows) for rows in source.rows(Position(epoch=epoch))]


def numbers(batches) -> list[int]:
    return [int(image[0, 0, 0]) // 6 for images, _ in batches for image in images]


def test_labels_stay_with_their_images_in_every_epochs_order(photographs):
    source = kv.data.batches(photographs, seed=1).source
    epochs = [read(source, epoch) for epoch in (0, 1)]
    for batches in epochs:
        assert [len(labels) for _, labels in batches] == [6] * 6 + [4]
        assert sorted(numbers(batches)) == list(range(40))
        labels = np.concatenate([labels for _, labels in batches])
        np.testing.assert_array_equal(labels, np.array(numbers(batches)) >= 20)
        assert labels.dtype == np.int32 and batches[0][0].dtype == np.uint8 and batches[0][0].shape == (6, 8, 8, 3)
    assert numbers(epochs[0]) != numbers(epochs[1])
    assert numbers(read(kv.data.batches(photographs, seed=1).source, 1)) == numbers(epochs[1])
    assert numbers(read(kv.data.batches(photographs).source, 5)) == list(range(40))
    whole = kv.data.batches(photographs, drop_remainder=True).source
    assert whole.steps == 6 and len(numbers(read(whole, 0))) == 36


def test_they_are_the_images_of_the_stream(photographs):
    for (ours, labels), (expected, theirs) in zip(
        read(kv.data.batches(photographs).source, 0), photographs, strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
        np.testing.assert_array_equal(labels, theirs)


def test_a_file_that_vanishes_is_told_once_and_another_of_its_batch_stands_in(photographs, tmp_path, capsys):
    pipe = kv.data.batches(photographs, lost_fraction=0.05)  # two of forty
    gone = tmp_path / "dark" / "03.png"
    gone.unlink()
    for epoch in range(2):
        batches = read(pipe.source, epoch)
        found = numbers(batches)
        assert found[:6] == [0, 1, 2, found[3], 4, 5] and found[3] in {0, 1, 2, 4, 5}
        labels = np.concatenate([labels for _, labels in batches])
        np.testing.assert_array_equal(labels, np.array(found) >= 20)
    (one,) = pipe.lost
    assert one.path == str(gone)
    told = capsys.readouterr().err
    assert told.count("Lost (1 of 2 allowed)") == 1 and told.count("03.png") == 1
    (tmp_path / "light" / "30.png").write_bytes(b"no image")
    read(pipe.source, 0)
    assert [lost.path[-6:] for lost in pipe.lost] == ["03.png", "30.png"]
    (tmp_path / "light" / "31.png").unlink()
    with pytest.raises(UserError, match=r"31.png"):
        read(pipe.source, 0)


def test_by_default_few_images_may_lose_none(photographs, tmp_path):
    (tmp_path / "dark" / "03.png").unlink()
    with pytest.raises(UserError, match=r"03.png"):
        read(kv.data.batches(photographs).source, 0)


def test_a_batch_without_an_image_and_wrong_fractions_are_errors(photographs, tmp_path):
    pipe = kv.data.batches(photographs, lost_fraction=0.5)
    for number in range(6):
        (tmp_path / "dark" / f"{number:02}.png").unlink()
    with pytest.raises(UserError, match="no image of a batch is left"):
        read(pipe.source, 0)
    for fraction in (-0.1, 1.0):
        with pytest.raises(UserError, match="`lost_fraction`"):
            kv.data.batches(photographs, lost_fraction=fraction)


def test_a_training_takes_it_and_tells_of_what_it_lost(photographs, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.layers[1].kernel.assign(np.zeros((192, 2)))
    pipe = kv.data.batches(photographs, seed=0, lost_fraction=0.03)
    (tmp_path / "dark" / "03.png").unlink()
    history = kv.training.fit(model, pipe, epochs=1, validation_data=pipe, verbose=0).history
    assert len(history["val_loss"]) == 1 and len(pipe.lost) == 1
    assert kv.training.predict(model, pipe, verbose=0).shape == (40, 2)
    (tmp_path / "dark" / "04.png").unlink()
    with pytest.raises(UserError, match=r"04.png"):
        kv.training.fit(model, pipe, epochs=1, verbose=0)


@pytest.mark.parametrize("seed", [None, 1])
def test_an_index_stays_with_its_image_in_every_epochs_order(photographs, seed):
    source = kv.data.batches(photographs, seed=seed, fields=("image", "index", "label")).source
    orders = []
    for epoch in (0, 1):
        batches = [batch for batch, *_ in read(source, epoch)]
        assert [set(batch) for batch in batches] == [{"image", "index", "label"}] * 7
        images, index, labels = (np.concatenate([batch[name] for batch in batches]) for name in batches[0])
        np.testing.assert_array_equal(index, images[:, 0, 0, 0] // 6)
        np.testing.assert_array_equal(labels, photographs.labels[index])
        assert sorted(index) == list(range(40)) and index.dtype == labels.dtype == np.int32
        assert images.dtype == np.uint8 and images.shape == (40, 8, 8, 3)
        orders.append(index.tolist())
    assert (orders[0] == orders[1]) == (seed is None)


@pytest.mark.parametrize("fields", [("image",), ("image", "index"), ("index",)])
def test_no_label_leaves_the_data_unless_asked_for(photographs, fields):
    source = kv.data.batches(photographs, fields=fields).source
    photographs.labels = None  # so that a look at them would fail
    (batch,) = source.read(np.array([3, 30]))
    assert set(batch) == set(fields) == set(source.spec[0])
    for name, array in batch.items():
        assert source.spec[0][name].dtype == str(array.dtype)
        assert source.spec[0][name].shape[1:] == array.shape[1:]


def test_a_stand_in_brings_its_own_index_and_label(photographs, tmp_path):
    pipe = kv.data.batches(photographs, seed=2, lost_fraction=0.05, fields=("image", "index", "label"))
    (tmp_path / "dark" / "03.png").unlink()
    (tmp_path / "light" / "30.png").unlink()
    batches = [batch for batch, *_ in read(pipe.source, 0)]
    index = np.concatenate([batch["index"] for batch in batches])
    images = np.concatenate([batch["image"] for batch in batches])
    np.testing.assert_array_equal(index, images[:, 0, 0, 0] // 6)
    np.testing.assert_array_equal(np.concatenate([batch["label"] for batch in batches]), index >= 20)
    assert len(index) == 40 and set(range(40)) - set(index.tolist()) == {3, 30}
    assert len(pipe.lost) == 2


def test_a_field_that_is_not_known_is_refused(photographs):
    with pytest.raises(
        UserError, match=r"`fields` is not known. Expected one of: image, index, label\. Received: 'labels'"
    ):
        kv.data.batches(photographs, fields=("image", "labels"))


def test_augmentation_and_dataset_suit_each_other(photographs, tmp_path):
    with pytest.raises(UserError, match=r"`augment`.*kv\.augment"):
        kv.data.batches(photographs, augment=kv.augment.JointAugment(8, 8))
    scenes.write(tmp_path / "scenes", 3)
    masked = kv.data.from_masks(
        tmp_path / "scenes", kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2}), progress=False
    )
    with pytest.raises(UserError, match=r"`augment`.*JointAugment"):
        kv.data.batches(masked)
    fields = ("image", "index", "label")
    (batch,) = kv.data.batches(masked, augment=kv.augment.JointAugment(8, 8), fields=fields).source.read(np.array([4]))
    assert batch["image"].shape == (1, 8, 8, 3) and batch["label"].shape == (1, 8, 8) and batch["index"].tolist() == [1]


def test_a_tf_dataset_is_the_epochs_of_the_source(photographs):
    made = kv.data.batches(photographs, seed=3, fields=("index",))
    for first in (0, 2):
        dataset = made.tf_dataset(first_epoch=first)
        for epoch in (first, first + 1):
            found = [batch["index"].tolist() for (batch,) in dataset.as_numpy_iterator()]
            assert found == [rows.tolist() for rows in made.source.rows(Position(epoch=epoch))]


def test_a_method_takes_the_fields_it_wants(photographs):
    image = keras.Input((8, 8, 3), name="image")
    encoder = keras.Model(image, keras.layers.Flatten()(image))
    views = kv.augment.MultiView({"a": kv.augment.RandomResizedCrop(8)})
    method = kv.selfsup.NPID(encoder, views, count=40, width=4, momentum=0.0)
    method.compile("sgd")
    before = kv.distribute.values.read(method.bank.rows)
    kv.training.fit(method, kv.data.batches(photographs, fields=("image", "index")), epochs=1, verbose=0)
    assert np.abs(kv.distribute.values.read(method.bank.rows) - before).max(axis=1).min() > 1e-4, "every row has moved"


def test_masks_are_drawn_anew_in_each_epoch_and_alike_in_a_second_run(tmp_path):
    scenes.write(tmp_path, 7)
    images = kv.data.from_masks(tmp_path, kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2}), progress=False)
    augment = kv.augment.JointAugment(32, 48)

    def epoch(number: int, batch_size: int = 3):
        source = kv.data.batches(images, augment=augment, batch_size=batch_size, seed=5).source
        assert source.steps == -(-7 // batch_size)
        batches = read(source, number)
        order = source.order(number) % 7
        pictures, labels = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
        assert pictures.shape == (7, 32, 48, 3) and labels.dtype == np.int32
        return pictures[np.argsort(order)], labels[np.argsort(order)]

    first, again, other = epoch(0), epoch(0, batch_size=4), epoch(1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not any(np.array_equal(a, b) for a, b in zip(first[0], other[0], strict=True))


def test_a_mask_that_vanishes_is_stood_in_for(tmp_path, capsys):
    scenes.write(tmp_path, 6)
    images = kv.data.from_masks(tmp_path, kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2}), progress=False)
    augment = kv.augment.JointAugment(32, 32)
    pipe = kv.data.batches(images, augment=augment, batch_size=3, lost_fraction=0.2)
    (tmp_path / "masks/04.png").unlink()
    assert sum(len(batch[0]) for epoch in (0, 1) for batch in read(pipe.source, epoch)) == 12
    assert [lost.path for lost in pipe.lost] == [str(tmp_path / "images/04.png")]
    assert "Lost (1 of 1 allowed)" in capsys.readouterr().err


def test_no_image_is_drawn_from_the_stream_of_the_order(tmp_path):
    scenes.write(tmp_path, 3)
    images = kv.data.from_masks(tmp_path, kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2}), progress=False)
    first = []

    class Augment(kv.augment.JointAugment):
        def __call__(self, image, labels, random):
            first.append(random.bit_generator.state["state"]["state"])
            return image, labels

    source = kv.data.batches(images, augment=Augment(40, 56), batch_size=3, seed=5).source
    read(source, 2)
    order = np.random.default_rng([5, 2])
    assert len(set(first)) == 3 and order.bit_generator.state["state"]["state"] not in first


class Shift:
    """Moves boxes by random whole pixels, and writes the shift into the first pixel."""

    height, width = 40, 60

    def __call__(self, image, objects, random):
        shift = int(random.integers(100))
        image = image.copy()
        image[0, 0] = shift
        boxes = objects.boxes.copy()
        boxes[:, :2] += shift
        return image, objects._replace(boxes=boxes)


def test_objects_fill_the_rows_of_their_image(tmp_path):
    images = boxed.plain_set(tmp_path)
    source = kv.data.batches(images, augment=Shift(), batch_size=2, seed=3).source
    assert [leaf.shape for leaf in source.spec] == [(None, 40, 60, 3), (None, 1, 5)], "the difficult object is left out"
    for epoch in (0, 1):
        batches = read(source, epoch)
        order = source.order(epoch) % 3
        pictures, objects = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
        assert pictures.dtype == np.uint8 and objects.dtype == np.float32 and objects.shape == (3, 1, 5)
        np.testing.assert_array_equal(pictures[:, 1, 1, 0] - 50, order)
        for picture, row, number in zip(pictures, objects[:, 0], order, strict=True):
            drawn = {0: [0, 0, 20, 10], 1: [5, 4, 31, 30]}.get(int(number))  # Pascal VOC counts pixels from 1
            shift = picture[0, 0, 0]
            expected = [0, 0, 0, 0, -1] if drawn is None else [drawn[0] + shift, drawn[1] + shift, *drawn[2:], 0]
            assert row.tolist() == expected
    first, again = (read(kv.data.batches(images, augment=Shift(), batch_size=b, seed=3).source, 1) for b in (1, 3))
    np.testing.assert_array_equal(np.concatenate([b[1] for b in first]), again[0][1])
    with pytest.raises(UserError, match=r"`augment`.*masks or boxes"):
        kv.data.batches(images)


def test_rotated_objects_and_images_without_objects(tmp_path):
    dota = kv.data.write_boxes(boxed.plain_set(tmp_path / "voc"), tmp_path / "dota", layout="dota")
    images = kv.data.from_boxes(dota, progress=False)
    source = kv.data.batches(images, augment=Shift(), batch_size=3).source
    _, objects = source.read(np.arange(3))
    assert images.rotated and objects.shape == (3, 1, 6) and source.spec[1].shape == (None, 1, 6)
    none = images.subset([2])
    _, objects = kv.data.batches(none, augment=Shift()).source.read(np.arange(1))
    assert objects.tolist() == [[[0, 0, 0, 0, 0, -1]]]


def test_a_dataset_of_your_own_has_batches_of_any_structure(tmp_path):
    class Twice:
        """Gives a model the boxes as an input and as a target."""

        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def path(self, index):
            return self.images.path(index)

        def example(self, index):
            return self.images.example(index)

        def stack(self, examples):
            images, objects = self.images.stack(examples)
            return {"image": images, "proposals": objects[..., :4]}, {"regions": objects}

        def spec(self, height, width):
            images, objects = self.images.spec(height, width)
            return {"image": images, "proposals": keras.KerasTensor((None, 1, 4))}, {"regions": objects}

    twice = Twice(boxed.plain_set(tmp_path))
    made = kv.data.batches(twice, augment=Shift(), batch_size=3)
    assert made.source.spec[0]["proposals"].shape == (None, 1, 4)
    ((inputs, targets),) = made.tf_dataset()
    assert inputs["image"].shape == (3, 40, 60, 3)
    np.testing.assert_array_equal(inputs["proposals"], targets["regions"][..., :4])
    named = kv.data.batches(twice, augment=Shift(), fields=("index", "label")).source
    (batch,) = named.read(np.arange(2))
    assert set(batch) == set(named.spec[0]) == {"index", "label"} and set(batch["label"]) == {"regions"}


def test_images_and_boxes_are_augmented_together(tmp_path):
    images = boxed.plain_set(tmp_path)
    augment = kv.augment.JointAugment(64, 64, scale=(1, 1), fit=True, flip=False, color=0)
    pictures, objects = kv.data.batches(images, augment=augment, batch_size=3, seed=0).source.read(np.arange(3))
    assert pictures.shape == (3, 64, 64, 3) and objects.shape == (3, 1, 5)
    for picture, row, box in zip(pictures, objects[:2, 0], ([0, 0, 20, 10], [5, 4, 31, 30]), strict=False):
        top = np.nonzero(picture.any(-1).any(1))[0].min()  # black above and below the image of 40 x 60 pixels
        expected = np.array(box) * 64 / 60 + [top, 0, top, 0]
        np.testing.assert_allclose(row, [*expected, 0], atol=1)
    assert objects[2, 0].tolist() == [0, 0, 0, 0, -1]
