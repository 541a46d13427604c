import numpy as np

import kvision as kv


def test_scenes_are_whole_and_their_digits_held_apart(tmp_path):
    folder = kv.data.digit_scenes(tmp_path / "scenes", train=12, val=5)
    known = kv.data.label_map(folder / "classes.txt")
    found = kv.data.from_masks(folder, known, progress=False)
    assert found.part.tolist() == ["train"] * 12 + ["test"] * 5 and not found.bad and known.names[10] == "ground"
    labels = np.stack([found.mask(i) for i in range(17)])
    assert labels.shape == (17, 128, 128) and set(np.unique(labels)) <= set(range(11))
    assert 0.5 < (labels == 10).mean() < 0.99 and len(np.unique(labels)) > 8
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    assert kv.data.digit_scenes(folder, train=3) == folder, "what is there is left alone"
    again = kv.data.digit_scenes(tmp_path / "again", train=12, val=5)
    assert {p.relative_to(again): p.read_bytes() for p in again.rglob("*.png")} == {
        p.relative_to(folder): content for p, content in before.items()
    }
