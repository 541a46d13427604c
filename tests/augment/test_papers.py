import sys

import forks
import numpy as np
import pytest

from kvision.augment import (
    ColorJitter,
    GaussianBlur,
    RandomGray,
    RandomResizedCrop,
    fold,
    mae,
    moco1,
    moco2,
    npid,
    npid_plus_plus,
    simclr,
    simmim,
    supervised,
    swav,
)
from kvision.checks import UserError

CROP, JITTER, GRAY, BLUR = RandomResizedCrop, ColorJitter, RandomGray, GaussianBlur


def described(view):
    """What each layer of a view does, in short."""
    found = []
    for layer in view.layers:
        kind = type(layer)
        if kind is CROP:
            found.append((kind, *layer.area, layer.flip, layer.interpolation))
        elif kind is JITTER:
            strengths = (layer.brightness, layer.contrast, layer.saturation, layer.hue)
            found.append((kind, *(round(s, 6) for s in strengths), layer.probability))
        else:
            found.append((kind, layer.probability, *(layer.sigma if kind is BLUR else ())))
    return found


def crop(low, flip=0.5, interpolation="bilinear"):
    return (CROP, low, 1.0, flip, interpolation)


STRONG, HALF = (JITTER, 0.8, 0.8, 0.8, 0.2, 0.8), (JITTER, 0.4, 0.4, 0.4, 0.1, 0.8)
ALWAYS, SOME, BLURRED = (JITTER, 0.4, 0.4, 0.4, 0.4, 1.0), (GRAY, 0.2), (BLUR, 0.5, 0.1, 2.0)
PUBLISHED = {
    "simclr": (simclr(224), [crop(0.08), STRONG, SOME, BLURRED]),
    "simclr at 32": (simclr(32, strength=0.5, blur=False), [crop(0.08), HALF, SOME]),
    "moco1": (moco1(224), [crop(0.2), SOME, ALWAYS]),
    "moco2": (moco2(224), [crop(0.2), HALF, SOME, BLURRED]),
    "moco2 at 32": (moco2(32, blur=False), [crop(0.2), HALF, SOME]),
    "npid": (npid(224), [crop(0.2), SOME, ALWAYS]),
    "npid's cifar.py": (npid(32, flip=0), [crop(0.2, flip=0.0), SOME, ALWAYS]),
    "npid_plus_plus": (npid_plus_plus(224), [ALWAYS, crop(0.08)]),
    "swav": (swav(224), [crop(0.14), STRONG, SOME, BLURRED]),
    "swav, small": (swav(96, area=(0.05, 0.14)), [(CROP, 0.05, 0.14, 0.5, "bilinear"), STRONG, SOME, BLURRED]),
    "mae": (mae(224), [crop(0.2, interpolation="bicubic")]),
    "simmim": (simmim(192), [crop(0.67)]),
    "supervised": (supervised(224), [crop(0.08)]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_order_are_those_of_the_source(name):
    view, expected = PUBLISHED[name]
    assert described(view) == expected
    assert [layer.aspect for layer in view.layers if type(layer) is CROP] == [(3 / 4, 4 / 3)]


def test_views_have_the_size_asked_for():
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 20, 3), dtype="uint8")
    for recipe in (simclr, moco1, moco2, npid, npid_plus_plus, swav, mae, simmim, supervised):
        found = np.asarray(recipe((16, 12))(images, key=[1, 2]))
        assert found.shape == (2, 16, 12, 3) and found.min() >= 0 and found.max() <= 255 and found.std() > 1


def test_too_strong():
    with pytest.raises(UserError, match=r"`strength` .*from 0 to 2.5"):
        simclr(32, strength=3)


CODE = """
import sys

class NoTensorFlow:  # Keras imports it on every backend where it can
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("no TensorFlow here")

sys.meta_path.insert(0, NoTensorFlow())
import jax, keras, numpy as np
import kvision as kv

assert keras.backend.backend() == "jax"
images = np.random.default_rng(0).integers(0, 256, (4, 24, 20, 3), dtype="uint8")
key = np.array([7, 3])
names = sys.argv[1:]
views = kv.augment.MultiView({name: getattr(kv.augment, name)(16) for name in names})
batch = {"image": images, "index": np.arange(4)}
make = jax.jit(lambda batch, key: views(batch, key=key))
eager, compiled, again, other = views(batch, key=key), make(batch, key), make(batch, key), make(batch, key + 1)
assert compiled["index"].tolist() == [0, 1, 2, 3]
for name in names:
    np.testing.assert_allclose(compiled[name], eager[name], atol=1e-3, err_msg=name)
    np.testing.assert_array_equal(again[name], compiled[name])
    assert np.abs(other[name] - compiled[name]).mean(axis=(1, 2, 3)).min() > 1, name
drawn = [np.asarray(views.views[names[0]](images)) for _ in range(2)]  # by its own generator
assert np.abs(drawn[0] - drawn[1]).mean() > 1
folded = np.asarray(kv.augment.fold(key, np.arange(3))).tolist()
print(folded)
"""


OTHERS = ("simmim", "moco2", "npid", "swav", "supervised")  # the same layers with other numbers


@pytest.mark.parametrize("names", [("mae", "simclr", "moco1"), pytest.param(OTHERS, marks=pytest.mark.slow)])
def test_jax_compiled_equals_eager_without_tensorflow(names):
    result = forks.run(
        [sys.executable, "-c", CODE, *names], env=forks.jax_environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    here = np.asarray(fold([7, 3], np.arange(3))).tolist()
    assert result.stdout.strip() == str(here), "keys are the same on every backend"
