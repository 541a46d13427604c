import contextlib
import os
import sys
import threading

import pytest

from kvision.pixels import MAX_BYTES, MAX_PIXELS, BadImage, header, read_header


def test_format_and_size_are_read_by_content(encoded):
    formats = {name: read_header(data) for name, data in encoded.items()}
    for name, found in formats.items():
        assert found.format.lower() in name, name
    assert (formats["rgb png"].width, formats["rgb png"].height) == (53, 37)
    assert (formats["jpeg"].width, formats["jpeg"].height) == (104, 72)


def test_nothing_is_decoded(encoded):
    data = encoded["rgb png"]
    assert read_header(data[: len(data) // 2]).width == 53  # the header is whole, the pixels are not


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "empty"),
        ("text", "not a JPEG, PNG, GIF, BMP or WebP"),
        ("tiff", "not a JPEG, PNG, GIF, BMP or WebP"),
        ("jpeg header", "damaged"),
        ("png of 11,000 x 11,000", f"11000 x 11000 pixels are more than the {MAX_PIXELS:,}"),
        ("gif of 65,535 x 65,535", "65535 x 65535"),
        ("1-bit bmp", "BMP of another kind"),
        ("half a gif", "truncated"),
        ("gif over the edge of its canvas", "parts do not fit"),
        ("half a webp", "truncated"),
        ("wave sound", "not a JPEG, PNG, GIF, BMP or WebP"),
    ],
)
def test_refusals_say_why_in_one_line(refused, name, reason):
    with pytest.raises(BadImage, match=reason) as caught:
        read_header(refused[name])
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_too_many_bytes(monkeypatch, encoded):
    assert MAX_BYTES >= 3 * MAX_PIXELS  # an uncompressed bitmap of the largest size allowed passes
    monkeypatch.setattr(header, "MAX_BYTES", 100)
    with pytest.raises(BadImage, match="more bytes than the 100 allowed"):
        read_header(encoded["rgb png"])


def test_random_bytes_behind_each_signature_raise_nothing_else():
    random = os.urandom(300)
    for magic in header._FORMATS:
        for size in (0, 1, 10, 30, 300):
            with contextlib.suppress(BadImage):
                read_header(magic + random[:size])


def test_many_threads_do_not_touch_the_warning_filters(encoded):
    before = list(sys.modules["warnings"].filters)
    threads = [threading.Thread(target=lambda: [read_header(d) for d in encoded.values()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["warnings"].filters == before
