import shutil
import sys
import zipfile

import forks
import h5py
import keras
import numpy as np
import pytest

from kvision.backbones import h5_file, weights
from kvision.checks import UserError

AT = "layers/dense/vars/0"


@pytest.fixture(scope="module")
def model():
    image = keras.Input((4,), name="image")
    return keras.Model(image, keras.layers.Dense(3, name="dense")(image), name="small")


@pytest.fixture(scope="module")
def good(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    model.save_weights(folder / "good.weights.h5")
    model.save(folder / "good.keras")
    return folder


def replaced(file: h5py.File, **options):
    del file[AT]
    file.create_dataset(AT, **options)


def linked(file: h5py.File, name: str, link):
    del file[name]
    file[name] = link


CRAFTED = {
    "external link": (lambda f: linked(f, AT, h5py.ExternalLink("good.weights.h5", AT)), "is a link"),
    "soft link": (lambda f: linked(f, AT, h5py.SoftLink("/layers")), "is a link"),
    "linked group": (lambda f: linked(f, "layers/dense", h5py.SoftLink("/layers")), "is a link"),
    "external data": (
        lambda f: replaced(f, shape=(4, 3), dtype="f4", external=[("/etc/hostname", 0, 48)]),
        "in another file",
    ),
    "160 GB": (lambda f: replaced(f, shape=(200_000, 200_000), dtype="f4"), "declares 160,000,000,000 bytes"),
    "3 GB, deflated": (
        lambda f: replaced(f, shape=(750, 1000, 1000), dtype="f4", chunks=(1, 1000, 1000), compression="gzip"),
        "declares 3,000,000,000 bytes",
    ),
    "a large chunk": (
        lambda f: replaced(f, data=np.zeros((4, 3), "f4"), chunks=(10**4, 10**4), maxshape=(None, None)),
        "declares 48 bytes",
    ),
    "strings": (lambda f: replaced(f, data=["a", "b"], dtype=h5py.string_dtype()), "holds no numbers"),
    "nothing": (lambda f: linked(f, AT, h5py.Empty("f4")), "holds no numbers"),
    "a type": (lambda f: linked(f, AT, np.dtype("f4")), "holds no numbers"),
    "a group": (lambda f: (linked(f, AT, np.zeros(1)), f.pop(AT), f.create_group(AT)), None),
    "another shape": (lambda f: replaced(f, data=np.zeros((5, 3), "f4")), None),
}


def test_what_keras_writes_passes(model, good):
    for path in good.iterdir():
        h5_file.check(path)
        weights.load(model, path)


@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_crafted_files_are_refused(model, good, tmp_path, name, suffix):
    craft, message = CRAFTED[name]
    path = tmp_path / "x.weights.h5"
    shutil.copy(good / "good.weights.h5", path)
    with h5py.File(path, "r+") as file:
        craft(file)
    if suffix == ".keras":
        content, path = path.read_bytes(), tmp_path / "x.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", content)
    if message:
        with pytest.raises(ValueError, match=message):
            h5_file.check(path)
    with pytest.raises(UserError, match="`weights` do not fit small") as error:
        weights.load(model, path)
    assert "\n" not in str(error.value)


def test_changed_bytes_are_answered(model, good, tmp_path):
    """HDF5 has no checksum over numbers: a changed one loads. Any other change is refused, with one exception."""
    path, random = tmp_path / "x.weights.h5", np.random.default_rng(1)
    whole = (good / "good.weights.h5").read_bytes()
    for _ in range(200):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 4):
            data[at] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        try:
            weights.load(model, path)
        except UserError as reason:
            assert "do not fit small" in str(reason)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_crafted_zips_are_refused(model, good, tmp_path):
    path = tmp_path / "x.keras"
    content = (good / "good.weights.h5").read_bytes()
    for members, method, text in [
        ([], zipfile.ZIP_STORED, "lacks 'model.weights.h5'"),
        ([content] * 2, zipfile.ZIP_STORED, "holds 'model.weights.h5' twice"),
        ([content], zipfile.ZIP_DEFLATED, "is compressed"),
        ([b"text"], zipfile.ZIP_STORED, "signature not found"),
    ]:
        with zipfile.ZipFile(path, "w", method) as archive:
            for member in members:
                archive.writestr("model.weights.h5", member)
        with pytest.raises(UserError, match=text):
            weights.load(model, path)
    whole = (good / "good.keras").read_bytes()
    for torn in (b"", b"text", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(torn)
        with pytest.raises(UserError, match="do not fit small"):
            weights.load(model, path)


def test_the_configuration_of_a_keras_file_is_never_read(model, good, tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(good / "good.keras") as source, zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", source.read("model.weights.h5"))
        archive.writestr("config.json", "no JSON, and no configuration: whoever read it would say so")
    weights.load(model, path)


def test_little_memory_is_taken(good, tmp_path):
    """Keras alone reads the 3 GB first and looks at the shape after."""
    path = tmp_path / "x.weights.h5"
    shutil.copy(good / "good.weights.h5", path)
    with h5py.File(path, "r+") as file:
        CRAFTED["3 GB, deflated"][0](file)
    code = (
        "import resource, sys; from pathlib import Path; from kvision.backbones import h5_file\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "try: h5_file.check(Path(sys.argv[1]))\n"
        "except ValueError: print(peak() - before)"
    )
    result = forks.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert int(result.stdout) < 100, result.stderr
