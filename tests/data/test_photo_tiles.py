import numpy as np

import kvision as kv


def test_tiles_in_two_parts(tmp_path):
    folder = kv.data.photo_tiles(tmp_path / "tiles")
    found = kv.data.from_pictures(folder, progress=False)
    assert np.unique(found.part, return_counts=True)[1].tolist() == [8, 40]
    assert set(found.sizes) == {(96, 96)} and len(set(found.pixel_hashes)) == 48
    before = (folder / "train/0_0_0.png").stat().st_mtime_ns
    kv.data.photo_tiles(folder)
    assert (folder / "train/0_0_0.png").stat().st_mtime_ns == before
