"""The process itself is tested in tests/export/test_reloaded.py."""

import numpy as np

from kvision import npz
from kvision.export import rerun


def test_arrays_and_files_come_back(tmp_path):
    calls = {
        "0|predict": {"image": np.arange(6, dtype="float32").reshape(1, 2, 3)},
        "1|serve_bytes": {"image_bytes": np.array([b"a\0", b"", b"\xff\xd8"], dtype=object)},
    }
    np.savez(tmp_path / "x.npz", **rerun.pack(calls))
    found = rerun.unpack(npz.read(tmp_path / "x.npz", stored=True))
    assert list(found) == list(calls)
    np.testing.assert_array_equal(found["0|predict"]["image"], calls["0|predict"]["image"])
    assert found["1|serve_bytes"]["image_bytes"].tolist() == [b"a\0", b"", b"\xff\xd8"]
