import zlib

import numpy as np
import pytest
import scenes
from PIL import Image

import kvision as kv
from kvision.checks import UserError

KNOWN = kv.data.LabelMap(scenes.CLASSES, {0: 0, 1: 1, 2: 2})


@pytest.fixture
def folder(tmp_path):
    scenes.write(tmp_path, 6)
    return tmp_path


def test_images_come_with_their_masks(folder):
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    assert len(found) == 6 and found.bad == () and found.part is None and found.class_names == scenes.CLASSES
    for number in range(6):
        image, labels = found.example(number)
        expected_image, expected = scenes.scene((40, 56), number)
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(labels, expected)
    own, whole = found.counts()
    everything = np.stack([found.mask(i) for i in range(6)])
    np.testing.assert_array_equal(own, [(everything == label).sum() for label in range(3)])
    np.testing.assert_array_equal(whole, [6 * 40 * 56] * 3)


def test_larger_images_are_made_smaller_on_one_grid(folder):
    found = kv.data.from_masks(folder, KNOWN, longest_side=28, progress=False)
    image, labels = found.example(0)
    assert image.shape == (20, 28, 3) and labels.shape == (20, 28)
    assert found.original(0).shape == (40, 56, 3) and found.mask(0).shape == (40, 56)
    assert set(np.unique(labels)) <= {0, 1, 2}, "no mixture of labels"
    grays = image.mean(axis=2)
    inside = [np.abs(grays[labels == label] - (40 + 80 * label)).mean() for label in range(3)]
    assert max(inside) < 20, "the image's grays stand where its labels say"
    assert found.fingerprint != kv.data.from_masks(folder, KNOWN, progress=False).fingerprint


def test_what_cannot_be_used_is_listed_with_its_reason(folder):
    Image.new("RGB", (56, 40)).save(folder / "images/alone.png")
    Image.new("L", (56, 40)).save(folder / "masks/nobodys.png")
    Image.new("L", (55, 40)).save(folder / "masks/00.png")
    Image.new("L", (56, 40), 7).save(folder / "masks/01.png")
    Image.new("RGB", (56, 40)).save(folder / "masks/02.png")
    (folder / "masks/03.png").unlink()
    Image.new("L", (56, 40)).save(folder / "masks/03.jpg")
    (folder / "images/04.png").write_bytes((folder / "images/04.png").read_bytes()[:300])
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    assert found.names == ("images/05.png",)
    told = {bad.path: bad.reason for bad in found.bad}
    assert told["images/alone.png"] == "it has no mask" and told["masks/nobodys.png"] == "it has no image"
    assert told["images/00.png"] == "its mask has (40, 55) pixels, the image (40, 56)"
    assert "it holds 7, which" in told["images/01.png"]
    assert "mode is RGB" in told["images/02.png"] and "JPEG does not keep numbers" in told["images/03.png"]
    assert "damaged" in told["images/04.png"] and len(told) == 7
    beside = {bad.path: bad.beside for bad in found.bad}
    assert beside["images/00.png"] == ("masks/00.png",) and beside["images/03.png"] == ("masks/03.jpg",)
    assert beside["images/alone.png"] == beside["masks/nobodys.png"] == ()


def test_a_palette_is_read_as_numbers_and_255_does_not_count(folder):
    labels = scenes.scene((40, 56), 0)[1]
    labels[:5] = 255
    (folder / "masks/00.png").write_bytes(kv.pixels.label_colors.to_png(labels, kv.pixels.label_colors.palette(3)))
    with Image.open(folder / "masks/00.png") as image:
        assert image.mode == "P"
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    np.testing.assert_array_equal(found.mask(0), labels)
    assert found.counts()[0].sum() == 6 * 40 * 56 - 5 * 56


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_are_numbers_too(folder, bits):
    """Pillow spreads the values of 2 and 4 bits over 0 to 255."""
    labels = np.minimum(scenes.scene((40, 56), 0)[1], (1 << bits) - 1)
    rows = np.packbits(np.unpackbits(labels[..., None], axis=2, count=8)[..., -bits:].reshape(40, -1), axis=1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = (56).to_bytes(4, "big") + (40).to_bytes(4, "big") + bytes([bits, 0, 0, 0, 0])
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (folder / "masks/00.png").write_bytes(png)
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    np.testing.assert_array_equal(found.mask(0), labels)


def test_sizes_and_classes_are_known_without_reading_again(folder):
    labels = np.full((40, 56), 255, "uint8")
    labels[0, 0] = 2
    (folder / "masks/03.png").write_bytes(kv.pixels.label_colors.to_png(labels, kv.pixels.label_colors.palette(3)))
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    assert found.sizes == ((40, 56),) * 6 and found.present[3] == (2,) and found.present[0] == (0, 1, 2)


def test_a_mask_belongs_to_the_image_as_it_is_shown(folder):
    """Upside down by EXIF: the size says nothing, so the pair is marked."""
    path = folder / "images/00.png"
    image, labels = scenes.scene((40, 56), 0)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(image[::-1, ::-1]).save(path, exif=exif)
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    assert found.turned == (True, *[False] * 5) and found.subset([1, 0]).turned == (False, True)
    np.testing.assert_array_equal(found.original(0), image)
    np.testing.assert_array_equal(found.mask(0), labels)


def test_a_file_that_changes_is_named(folder):
    found = kv.data.from_masks(folder, KNOWN, progress=False)
    (folder / "masks/02.png").write_bytes((folder / "masks/03.png").read_bytes())
    with pytest.raises(UserError, match=r"masks/02.png has changed.*other bytes"):
        found.example(2)
    (folder / "images/02.png").unlink()
    with pytest.raises(UserError, match="No such file"):
        found.original(2)
    assert found.subset([3]).mask(0).shape == (40, 56)


def test_nothing_usable_is_an_error(tmp_path):
    scenes.write(tmp_path, 1)
    Image.new("L", (5, 5)).save(tmp_path / "masks/00.png")
    with pytest.raises(UserError, match=r"no image with a mask.*00.png: its mask has \(5, 5\)"):
        kv.data.from_masks(tmp_path, KNOWN, progress=False)
    with pytest.raises(UserError, match="`longest_side`"):
        kv.data.from_masks(tmp_path, KNOWN, longest_side=0)


def test_camvid_is_read_whole(shared):
    found = kv.data.from_masks(shared / "data/camvid", kv.data.label_map("camvid"), progress=False)
    assert len(found) == 285 and (found.part == "test").sum() == 101 and not found.bad
    assert found.mask(0).shape == (180, 240) and set(np.unique(found.mask(0))) <= {*range(11), 255}


def test_folders_that_are_not_read_are_told(folder):
    (folder / "unlabeled").mkdir()
    (folder / "__MACOSX").mkdir()
    assert kv.data.from_masks(folder, KNOWN, progress=False).notes == ("folders that are not read: unlabeled",)
