import hashlib

import pytest

from kvision import checks
from kvision.data.unchanged import read_unchanged


def test_only_the_same_bytes_are_decoded(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    file_hash = hashlib.sha256(b"1").hexdigest()
    assert read_unchanged(path, file_hash, bytes.decode) == "1"
    path.write_bytes(b"2")
    with pytest.raises(checks.UserError, match="has changed"):
        read_unchanged(path, file_hash, bytes.decode)
    path.unlink()
    with pytest.raises(checks.UserError, match="has changed"):
        read_unchanged(path, file_hash, bytes.decode)
