import dense_networks
import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError


def backbone(name: str = "ResNet20") -> keras.Model:
    return kv.backbones.create(name, image_size=32)


@pytest.mark.parametrize("every_layer", [False, True])
def test_any_size_and_all_maps_reach_the_output(every_layer):
    model = trained_like(kv.decoders.hypercolumns(backbone(), 4, hidden=8, every_layer=every_layer))
    assert len(model.get_layer("body").backbone.outputs) == (10 if every_layer else 3)
    if not every_layer:
        dense_networks.any_size(model, 4)
        assert min(dense_networks.reaches_the_output(model)) > 0


def test_both_forms_have_the_same_weights():
    whole = trained_like(kv.decoders.hypercolumns(backbone(), 3, hidden=8))
    points = kv.decoders.hypercolumns(backbone(), 3, hidden=8, points=True)
    points.set_weights(whole.get_weights())
    image = dense_networks.noise(33, 47)
    expected = np.asarray(whole(image, training=False))[0]
    places = np.array([[(5 + 0.5) / 33, (40 + 0.5) / 47], [0.5 / 33, 46.5 / 47]], "float32")[None]
    found = np.asarray(points({"image": image, "points": places}, training=False))[0]
    np.testing.assert_allclose(found, [expected[5, 40], expected[0, 46]], atol=1e-4)


def test_wrong_calls_are_told():
    for options, name in [({"hidden": 0}, "`hidden`"), ({"strides": (3,)}, "`strides`")]:
        with pytest.raises(UserError, match=name):
            kv.decoders.hypercolumns(backbone(), 2, **options)
