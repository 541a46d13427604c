from fractions import Fraction

import numpy as np
import pytest
import videos

import kvision as kv
from kvision.pixels.video_reader import VideoReader
from kvision.pixels.video_writer import VideoWriter


@pytest.mark.parametrize(("rate", "exact"), [(25, Fraction(25)), (30000 / 1001, Fraction(30000, 1001)), (12.5, 12.5)])
def test_a_new_video_has_the_frame_rate(tmp_path, rate, exact):
    images = videos.moving(4)
    info = kv.pixels.VideoInfo.of(images[0], frame_rate=rate)
    assert (info.height, info.width, info.standard, info.frame_rate) == (48, 64, "bt601", exact)
    with VideoWriter(tmp_path / "new.mp4", info) as out:
        for number, image in enumerate(images):
            out.write(image, number)
    with VideoReader(tmp_path / "new.mp4") as video:
        times = [float(frame.time * video.info.time_base) for frame in video]
    np.testing.assert_allclose(times, np.arange(4) / rate, atol=1e-4)


def test_other_rates_are_refused():
    with pytest.raises(kv.UserError, match="frame_rate"):
        kv.pixels.VideoInfo.of(videos.moving(1)[0], frame_rate=0)
