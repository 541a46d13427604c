import keras
import numpy as np
import pytest
from contracts import frozen_body
from trainings import attached

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
    model = attached()

    def fit(model):
        kv.schedules.freeze(model, above="all", norm=norm)
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(IMAGES[:, :16, :16], LABELS, batch_size=4, verbose=0)

    before = _statistics(model)
    for _ in range(2):
        fit(model)
        moved = max(np.abs(a - b).max() for a, b in zip(before, _statistics(model), strict=True))
        assert (moved > 0) == (norm == "train")
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        before = _statistics(model)


def test_from_a_layer_up_and_by_share(model):
    backbone = model.get_layer("body").backbone
    last = backbone.get_layer("Conv_1")
    assert names(kv.schedules.freeze(model, above="Conv_1", norm="train")) == {last.name, "Conv_1_bn", "probabilities"}
    weighted = [layer.name for layer in backbone.layers if layer.weights]
    for share, count in ((0.0, 0), (0.5, len(weighted) // 2), (1.0, len(weighted))):
        expected = {*weighted[len(weighted) - count :], "probabilities"}
        assert names(kv.schedules.freeze(model, above=share, norm="train")) == expected
    for wrong in (1.5, -0.1, True):
        with pytest.raises(UserError, match="`above`"):
            kv.schedules.freeze(model, above=wrong)


def test_frozen_body_does_not_move_while_the_head_trains(model, eager):
    def fit(model):
        kv.schedules.freeze(model, above="top", norm="train")
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(IMAGES, LABELS, verbose=0)

    bias = model.get_layer("probabilities").get_weights()[1].copy()
    assert frozen_body(model, fit) == 0
    assert np.abs(model.get_layer("probabilities").get_weights()[1] - bias).max() > 0


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    """A layer of a user's own with normalization inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.norm = keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()

    def call(self, x, training=False):
        return self.norm(self.conv(x), training=training)


def test_normalization_inside_a_layer_of_the_users_own_is_fixed_too():
    image = keras.Input((8, 8, 3), name="image")
    model = kv.transfer.attach(keras.Model(image, Block(name="block")(image), name="mine"), 3)
    counts = {norm: len(kv.schedules.freeze(model, above="all", norm=norm)) for norm in ("frozen", "stats", "train")}
    assert counts == {"frozen": 4, "stats": 6, "train": 6}
    assert len(kv.schedules.freeze(model, above="top")) == 2


def test_a_stage_of_layers_with_one_name_is_refused():
    def block(channels, filters):
        return keras.Sequential([keras.Input((None, None, channels)), keras.layers.Conv2D(filters, 3, 2, name="conv")])

    image = keras.Input((32, 32, 3), name="image")
    backbone = keras.Sequential([image, block(3, 4), block(4, 8)], name="twice")
    model = kv.transfer.attach(backbone, 3)
    with pytest.raises(UserError, match=r"several layers called 'conv'.*by share"):
        kv.schedules.freeze(model, above="stage2")
    assert len(kv.schedules.freeze(model, above=0.5)) == 4


def test_errors(model):
    with pytest.raises(UserError, match=r"no stage or layer of 'MobileNetV2'.*Did you mean 'stage5'"):
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
