import itertools

import numpy as np
import videos

from kvision.luma_chroma import luma
from kvision.pixels.scene_cuts import SceneCuts
from kvision.pixels.video_reader import VideoReader


def found(lumas):
    cuts = SceneCuts()
    return [place for place, image in enumerate(lumas) if cuts(image)]


def test_the_cuts_of_two_real_videos_one_after_the_other(shared):
    """The cuts of bikes.mp4 were seen by eye; bigbuckbunny.mp4 is one scene."""
    paths = [shared / "data/video" / name for name in ("bikes.mp4", "bigbuckbunny.mp4")]

    def frames(path):
        with VideoReader(path) as video:
            yield from (luma(frame.image[::4, ::4])[..., 0] for frame in video)

    assert found(itertools.chain.from_iterable(map(frames, paths))) == [30, 76, 137, 187, 242, 250]


def test_motion_flicker_noise_and_fades_are_no_cuts():
    random = np.random.default_rng(0)
    images = videos.moving(24, step=3).astype("float32").mean(axis=3)
    flicker = images * random.uniform(0.6, 1.0, (24, 1, 1)) + random.uniform(0, 60, (24, 1, 1))
    fade = images * np.linspace(0.02, 1, 24)[:, None, None]
    noise = random.normal(2, 1, (24, 96, 128)).clip(0)
    assert found(images) == found(flicker) == found(fade) == found(noise) == []


def test_cuts_between_dark_scenes_and_sizes_are_found():
    dark = [0.1 * videos.moving(5, size=(96, 128), seed=seed).astype("float32").mean(axis=3) for seed in (1, 2)]
    assert found([*dark[0], *dark[1]]) == [5]
    assert found([*dark[0], *(np.kron(image, np.ones((2, 2))) for image in dark[1])]) == [5]
    assert found([*dark[0], *(np.kron(image, np.ones((2, 2))) for image in dark[0])]) == []


def test_the_first_frame_and_a_flash():
    images = list(videos.moving(6).astype("float32").mean(axis=3))
    images[3] = np.full((48, 64), 255.0)
    assert found(images) == [3, 4]
