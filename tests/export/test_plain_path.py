import os

import pytest

from kvision.export import versions
from kvision.export.plain_path import plain_path


def test_a_plain_path_stays_as_it_is(tmp_path):
    with plain_path(tmp_path) as path:
        assert path == tmp_path


@pytest.mark.parametrize("name", ["a[1]", "a\\b", "a*", "what?", os.fsdecode(b"caf\xe9"), "a\nb"])
def test_tensorflow_saves_and_loads_in_a_folder_of_any_name(tmp_path, name):
    import tensorflow as tf

    folder = tmp_path / name
    folder.mkdir()
    module = tf.Module()
    module.weight = tf.Variable(3.0)
    with plain_path(folder) as path:
        tf.saved_model.save(module, str(path))
    assert versions.newest(folder) == folder and (folder / "variables/variables.index").is_file()
    with plain_path(folder) as path:
        loaded = tf.saved_model.load(str(path))
    assert loaded.weight.numpy() == 3
