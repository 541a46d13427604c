import corpus
import pytest
import tensorflow as tf

from kvision.pixels import jpeg


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


PLAIN = corpus.decoded()["jpeg"]
CASES = {
    "none": (PLAIN, b""),
    "first": (PLAIN[:2] + segment(0xE1, b"Exif\0\0abc") + PLAIN[2:], b"abc"),
    "behind a comment": (PLAIN[:2] + segment(0xFE, b"x" * 300) + segment(0xE1, b"Exif\0\0abc") + PLAIN[2:], b"abc"),
    "the first of two": (PLAIN[:2] + segment(0xE1, b"Exif\0\0a") + segment(0xE1, b"Exif\0\0b") + PLAIN[2:], b"a"),
    "empty": (PLAIN[:2] + segment(0xE1, b"Exif\0\0") + PLAIN[2:], b""),
    "cut off": (PLAIN[:2] + segment(0xE1, b"Exif\0\0abcdef")[:-4], b"ab"),
    "behind 256 kB": (PLAIN[:2] + segment(0xFE, b"x" * 65_000) * 5 + segment(0xE1, b"Exif\0\0abc") + PLAIN[2:], b""),
    "behind the pixels": (PLAIN + segment(0xE1, b"Exif\0\0abc"), b""),
    "two bytes": (b"\xff\xd8", b""),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_found(name):
    data, expected = CASES[name]
    assert jpeg.exif(tf.constant(data)).numpy() == expected
