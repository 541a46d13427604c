import numpy as np
import pytest
from videos import av

from kvision.pixels import video_colors

# Kr and Kb of the recommendations
CONSTANTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
SPACES = {"bt601": 6, "bt709": 1, "bt2020": 9}


def by_formula(codes, standard, full):
    """RGB (..., 3) of 8-bit codes Y, Cb, Cr, slowly."""
    kr, kb = CONSTANTS[standard]
    black, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    y, cb, cr = np.moveaxis((codes - [black, 128, 128.0]) / [luma, chroma, chroma], -1, 0)
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.clip(255 * np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], -1), 0, 255)


def blocks(random):
    """Codes (4, 6, 3), and a frame that shows each of them on 16 x 16 pixels."""
    codes = random.integers(16, 236, (4, 6, 3)).astype("uint8")
    planes = np.kron(codes.transpose(2, 0, 1), np.ones((16, 16), "uint8")).astype("uint8")
    rows = np.concatenate([planes[0].ravel(), planes[1, ::2, ::2].ravel(), planes[2, ::2, ::2].ravel()])
    return codes, av.VideoFrame.from_ndarray(rows.reshape(-1, 96), format="yuv420p")


@pytest.mark.parametrize("standard", CONSTANTS)
@pytest.mark.parametrize("full", [False, True], ids=["studio", "full"])
def test_every_standard_and_range_is_decoded_as_the_formula_says(standard, full):
    codes, frame = blocks(np.random.default_rng(0))
    frame.colorspace, frame.color_range = SPACES[standard], 2 if full else 1
    found = video_colors.to_rgb(frame, (64, 96))[8::16, 8::16]
    assert np.abs(found - by_formula(codes.astype(float), standard, full)).max() < 1.01
    other = "bt709" if standard == "bt601" else "bt601"
    assert np.abs(found - by_formula(codes.astype(float), other, full)).max() > 9  # the wrong standard is seen
    assert np.abs(found - by_formula(codes.astype(float), standard, not full)).max() > 9  # and the wrong range


def test_a_frame_without_tags_has_studio_range_and_the_standard_of_its_size():
    codes, frame = blocks(np.random.default_rng(1))
    found = video_colors.to_rgb(frame, (64, 96))[8::16, 8::16]
    assert np.abs(found - by_formula(codes.astype(float), "bt601", False)).max() < 1.01
    assert [video_colors.assumed_standard(*size) for size in ((576, 1024), (577, 600), (480, 1280))] == [
        "bt601",
        "bt709",
        "bt709",
    ]


@pytest.mark.parametrize("standard", CONSTANTS)
def test_gray_keeps_its_values_through_a_frame_and_back(standard):
    gray = np.arange(256, dtype="uint8").reshape(16, 16, 1).repeat(3, 2).repeat(2, 0).repeat(2, 1)
    frame = video_colors.to_frame(gray, standard)
    planes = frame.to_ndarray()
    assert planes[:32].min() == 16 and planes[:32].max() == 235 and set(planes[32:].ravel()) == {128}
    frame.colorspace, frame.color_range = SPACES[standard], 1
    assert np.abs(video_colors.to_rgb(frame, (32, 32)).astype(int) - gray).max() <= 1


@pytest.mark.parametrize("tagged", [0, 1, 2])
def test_gray_formats_are_full_range_unless_their_tag_says_studio(tagged):
    codes = np.array([[0, 16, 128, 235, 255]] * 2, "uint8")
    frame = av.VideoFrame.from_ndarray(codes, format="gray")
    frame.color_range = tagged
    expected = [0, 0, 130, 255, 255] if tagged == 1 else codes[0]
    assert video_colors.to_rgb(frame, (2, 5))[0, :, 1].tolist() == list(expected)


def test_odd_sizes_repeat_the_last_row_and_column():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")
    frame = video_colors.to_frame(image, "bt601", "yuv444p")
    assert (frame.height, frame.width) == (6, 8)
    planes = frame.to_ndarray()
    assert (planes[:, 5] == planes[:, 4]).all() and (planes[:, :, 7] == planes[:, :, 6]).all()
