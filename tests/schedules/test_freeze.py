import keras
import numpy as np
import pytest
from contracts import frozen_body

import kvision as kv
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype="uint8")
LABELS = np.arange(8) % 3


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return kv.transfer.attach(kv.backbones.create("MobileNetV2", image_size=32, pooling="avg"), 3)


def names(variables) -> set[str]:
    return {variable.path.split("/")[0] for variable in variables}


def test_top_trains_the_head_alone(model):
    assert names(kv.schedules.freeze(model, above="top")) == {"probabilities"}


def test_all_trains_everything_but_what_norm_fixes(model):
    trained = {norm: names(kv.schedules.freeze(model, above="all", norm=norm)) for norm in ("frozen", "stats", "train")}
    normalizations = {layer.name for layer in _layers(model) if isinstance(layer, keras.layers.BatchNormalization)}
    assert trained["stats"] == trained["train"] == trained["frozen"] | normalizations
    assert not trained["frozen"] & normalizations and "Conv1" in trained["frozen"]


def test_from_a_stage_up(model):
    trained = names(kv.schedules.freeze(model, above="stage5", norm="train"))
    order = [layer.name for layer in _layers(model)]
    start = order.index(kv.backbones.stages(model.get_layer("body").backbone)["stage5"])
    expected = {name for name in order[start:] if model.get_layer("body").backbone.get_layer(name).trainable_weights}
    assert trained == expected | {"probabilities"} and len(expected) > 10
    counts = [len(kv.schedules.freeze(model, above=f"stage{n}", norm="train")) for n in (5, 4, 3, 2, 1)]
    assert counts == sorted(set(counts))
    assert counts[-1] == len(kv.schedules.freeze(model, above="all", norm="train"))


@pytest.mark.parametrize("norm", ["frozen", "stats", "train"])
def test_policy_holds_in_fit_and_after_reload(tmp_path, norm):
    """Two fits: moving statistics bit-identical under "frozen" and "stats", moved under "train" (the control)."""
    model = kv.transfer.attach(kv.backbones.create("EfficientNetLite0", image_size=32, pooling="avg"), 3)

    def fit(model):
        kv.schedules.freeze(model, above="all", norm=norm)
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(IMAGES, LABELS, batch_size=4, verbose=0)

    before = _statistics(model)
    for _ in range(2):
        fit(model)
        moved = max(np.abs(a - b).max() for a, b in zip(before, _statistics(model), strict=True))
        assert (moved > 0) == (norm == "train")
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        before = _statistics(model)


def test_frozen_body_does_not_move_while_the_head_trains(model):
    def fit(model):
        kv.schedules.freeze(model, above="top", norm="train")
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(IMAGES, LABELS, verbose=0)

    bias = model.get_layer("probabilities").get_weights()[1].copy()
    assert frozen_body(model, fit) == 0
    assert np.abs(model.get_layer("probabilities").get_weights()[1] - bias).max() > 0


def test_errors(model):
    with pytest.raises(UserError, match=r"no stage of 'MobileNetV2'.*Did you mean 'stage5'"):
        kv.schedules.freeze(model, above="stage6")
    with pytest.raises(UserError, match="`norm`"):
        kv.schedules.freeze(model, norm="batch")
    with pytest.raises(UserError, match=r"kv\.transfer\.attach"):
        kv.schedules.freeze(model.get_layer("body").backbone)


def _layers(model):
    return model.get_layer("body").backbone.layers


def _statistics(model):
    body = model.get_layer("body").backbone
    return [keras.ops.convert_to_numpy(v).copy() for v in body.variables if "moving" in v.path]
