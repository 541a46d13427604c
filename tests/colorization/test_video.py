import numpy as np
import pytest
import videos

import kvision as kv
from kvision.colorization import at_size, colorized, windows
from kvision.luma_chroma import luma


def levels(*values):
    return [np.full((4, 6, 3), value, "uint8") for value in values]


def neighbors_of(frames, n, starts=()):
    """The levels of the neighbors of each frame, by a slow rule: the nearest index inside the scene."""
    scenes = np.cumsum([i in starts for i in range(len(frames))])
    rows = []
    for t in range(len(frames)):
        same = np.flatnonzero(scenes == scenes[t])
        places = [t + d for d in (*range(-n // 2, 0), *range(1, n // 2 + 1))]
        rows.append([int(frames[np.clip(p, same[0], same[-1])][0, 0, 0]) for p in places])
    return rows


def cuts_at(starts):
    calls = iter(range(10**6))
    return lambda _: next(calls) in starts


@pytest.mark.parametrize("n", [0, 2, 4, 6])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("starts", [(), (3,), (1, 2), (2, 6)])
def test_neighbors_stop_at_cuts_and_at_the_ends(n, count, starts):
    frames = levels(*range(10, 10 + count))
    found = list(windows(frames, neighbors=n, cuts=cuts_at(starts)))
    assert [int(window.image[0, 0, 0]) for window in found] == list(range(10, 10 + count))
    assert [window.neighbors[0, 0].astype(int).tolist() for window in found] == neighbors_of(frames, n, starts)


def test_a_cut_is_found_and_no_neighbor_crosses_it():
    frames = [*videos.moving(4, seed=1), *videos.moving(4, seed=2)]
    found = list(windows(frames, neighbors=4))
    for t, window in enumerate(found):
        scene = frames[:4] if t < 4 else frames[4:]
        for plane in np.moveaxis(window.neighbors, 2, 0):
            assert any(np.array_equal(plane, luma(frame)[..., 0]) for frame in scene)
    unaware = list(windows(frames, neighbors=4, cuts=lambda _: False))
    assert not np.array_equal(unaware[3].neighbors, found[3].neighbors)


def test_only_half_a_window_is_read_ahead():
    read = []

    def frames():
        for image in levels(*range(20)):
            read.append(image)
            yield image

    for count, _ in enumerate(windows(frames(), neighbors=4), 1):
        assert len(read) <= count + 2


@pytest.mark.parametrize("n", [-2, 1, 3])
def test_other_numbers_of_neighbors_are_refused(n):
    with pytest.raises(kv.UserError, match="neighbors"):
        list(windows(levels(1), neighbors=n))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_do_not_change_the_colors(batch_size):
    frames, shapes = list(videos.moving(7)), []

    def predict(images, neighbors):
        shapes.append((len(images), neighbors.shape[3]))
        assert images.dtype == neighbors.dtype == np.float32
        return images * 0.5 + neighbors.mean(axis=3, keepdims=True) * [0.5, 0.25, 0.75]

    found = list(colorized(frames, predict, neighbors=2, batch_size=batch_size))
    single = [
        np.clip(np.rint(w.image * 0.5 + w.neighbors.mean(axis=2, keepdims=True) * [0.5, 0.25, 0.75]), 0, 255)
        for w in windows(frames, neighbors=2)
    ]
    np.testing.assert_array_equal(found, np.stack(single).astype("uint8"))
    assert sum(rows for rows, _ in shapes) == 7 and max(rows for rows, _ in shapes) == min(batch_size, 7)


def test_values_are_rounded_and_clipped_and_wrong_shapes_refused():
    found = list(colorized(levels(100), lambda images: images + np.array([-200, 0.6, 200])))
    assert found[0].dtype == np.uint8 and found[0][0, 0].tolist() == [0, 101, 255]
    with pytest.raises(kv.UserError, match="predict"):
        list(colorized(levels(100), lambda images: images[..., :1]))
    with pytest.raises(kv.UserError, match="batch_size"):
        list(colorized(levels(100), lambda images: images, batch_size=0))


def test_small_colors_keep_the_luma_of_the_large_image():
    image = np.stack([luma(videos.moving(1, size=(96, 128))[0])[..., 0]] * 3, axis=2)[None]
    image += np.random.default_rng(0).integers(0, 9, (1, 96, 128, 1))
    seen = []

    def predict(images, neighbors):
        seen.append((images.shape, neighbors.shape))
        return images + np.linspace(-20, 20, images.shape[2])[:, None] * [1.0, 0.3, -2.0]

    neighbors = np.concatenate([image[..., :1]] * 2, axis=3)
    small = at_size(predict, 64)(image, neighbors)
    assert seen == [((1, 48, 64, 3), (1, 48, 64, 2))]
    np.testing.assert_allclose(luma(small)[..., 0], image[..., 0], atol=1e-3)
    whole = predict(image, neighbors)
    chroma = [colored - luma(colored) for colored in (small, whole)]
    assert np.abs(chroma[0] - chroma[1]).max() < 1.0 and np.abs(chroma[1]).max() > 20
    assert at_size(predict, None) is predict
    np.testing.assert_array_equal(at_size(predict, 128)(image, neighbors), whole)
    with pytest.raises(kv.UserError, match="longest_side"):
        at_size(predict, 0)
