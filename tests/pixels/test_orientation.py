import io
import struct
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kvision.pixels import graph, header, jpeg, orientation, pillow

PICTURE = np.kron(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
STRING = [tf.TensorSpec((), tf.string)]
exif = tf.function(jpeg.exif, input_signature=STRING, autograph=False)
in_graph = tf.function(lambda d: orientation.read_in_graph(jpeg.exif(d)), input_signature=STRING, autograph=False)


def photograph(value: int | None = None, order: str = "<") -> bytes:
    """A JPEG; with an EXIF segment of either byte order, as phones and cameras write it."""
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG", quality=95)
    return (
        buffer.getvalue() if value is None else with_exif(buffer.getvalue(), directory([(0x0112, 3, 1, value)], order))
    )


def directory(
    entries: list[tuple[int, int, int, int]], order: str = "<", start: int = 8, *, value: str = "HH"
) -> bytes:
    """value: how the four bytes of a value are packed: a SHORT and nothing, or one LONG."""
    rest = [0] * (len(value) - 1)
    body = b"".join(struct.pack(f"{order}HHI{value}", *entry, *rest) for entry in entries)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    return head + bytes(start - 8) + struct.pack(f"{order}H", len(entries)) + body + bytes(4)


def with_exif(jpeg: bytes, tiff: bytes, before: bytes = b"") -> bytes:
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + before + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_is_shown_as_pillow_shows_it(value, order):
    data = photograph(value, order)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    np.testing.assert_array_equal(pillow.decode(data), expected)
    np.testing.assert_array_equal(graph.decode(tf.constant(data)), expected)
    if value > 1:
        plain = pillow.decode(photograph())
        assert plain.shape != expected.shape or not np.array_equal(plain, expected), (
            "the control: it makes a difference"
        )


ODD = {
    "none": photograph(),
    "value 0": photograph(0),
    "value 9": photograph(9),
    "other tags first": with_exif(photograph(), directory([(0x010F, 2, 4, 7), (0x0112, 3, 1, 6), (0x0112, 3, 1, 3)])),
    "late directory": with_exif(photograph(), directory([(0x0112, 3, 1, 8)], start=300)),
    "behind other segments": with_exif(
        photograph(), directory([(0x0112, 3, 1, 5)]), b"\xff\xe0\0\x04ab\xff\xfe\0\x03c"
    ),
    "behind fill bytes": with_exif(photograph(), directory([(0x0112, 3, 1, 5)]), b"\xff\xff"),
    "behind another application's segment": with_exif(
        photograph(), directory([(0x0112, 3, 1, 4)]), b"\xff\xe1\0\x08http:\0"
    ),
    "cut directory": with_exif(photograph(), directory([(0x0112, 3, 1, 6)])[:16]),
    "count beyond the end": with_exif(photograph(), b"II*\0\x08\0\0\0\xff\xff" + directory([(0x0112, 3, 1, 6)])[10:]),
    "directory beyond the end": with_exif(photograph(), b"MM\0*\xff\xff\xff\xff" + bytes(20)),
    "no byte order": with_exif(photograph(), b"XX" + directory([(0x0112, 3, 1, 6)])[2:]),
    "empty segment": with_exif(photograph(), b""),
    "text": with_exif(photograph(), directory([(0x0112, 2, 1, 6)])),
} | {
    f"{name} {order}": with_exif(photograph(), directory([(0x0112, kind, 1, value << shift)], order, value="I"))
    for order in "<>"
    for name, kind, value, bits in [
        ("byte", 1, 6, 8),
        ("signed byte", 6, 3, 8),
        ("long", 4, 8, 32),
        ("signed", 9, 5, 32),
    ]
    for shift in [32 - bits if order == ">" else 0]
}
EXPECTED = {
    "other tags first": 6,
    "late directory": 8,
    "behind other segments": 5,
    "behind fill bytes": 5,
    "behind another application's segment": 4,
    "count beyond the end": 6,
}
for order in "<>":
    EXPECTED |= {f"byte {order}": 6, f"signed byte {order}": 3, f"long {order}": 8, f"signed {order}": 5}


@pytest.mark.parametrize("name", ODD)
def test_odd_segments_are_read_alike(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's of damaged EXIF data
        image = header.lazy_open(ODD[name])
    assert orientation.read(pillow.exif(image)) == EXPECTED.get(name, 1)
    assert int(in_graph(tf.constant(ODD[name]))) == EXPECTED.get(name, 1)


def test_damaged_bytes_are_read_alike():
    """2,000 files with random bytes changed in, and random cuts through, the segments before the pixels."""
    random = np.random.default_rng(0)
    seeds = [photograph(6), photograph(3, ">"), ODD["behind other segments"], ODD["behind fill bytes"]]
    seen = set()
    for i in range(2000):
        data = bytearray(seeds[i % len(seeds)][:80])
        for _ in range(random.integers(1, 4)):
            data[random.integers(2, len(data))] = random.choice(
                [0, 1, 2, 6, 8, 42, 0x12, 0xDA, 0xE1, 0xFF, random.integers(256)]
            )
        data = bytes(data[: random.integers(2, len(data) + 1)])
        expected = orientation.read(exif(tf.constant(data)).numpy())
        assert int(in_graph(tf.constant(data))) == expected, data.hex()
        seen.add(expected)
    assert len(seen) >= 4


def test_turns_are_a_group():
    """Each turn is undone by one of them; swapping twice, or turning round twice, is nothing."""
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    for value, back in undo.items():
        np.testing.assert_array_equal(orientation.turn(orientation.turn(PICTURE, value), back), PICTURE)
