import itertools

import keras
import numpy as np
import pytest
from graphs import without_weights
from keras import layers

import kvision as kv
from kvision.backbones import trunk
from kvision.checks import UserError

CONSTRUCTORS = [name for name in dir(keras.applications) if name[0].isupper()]
IN_CI = ("ConvNeXtTiny", "MobileNetV3Small", "Xception")
IN_CI_OR_SLOW = [n if n in IN_CI else pytest.param(n, marks=pytest.mark.slow) for n in CONSTRUCTORS]


def leaves(layer) -> list[str]:
    """ConvNeXt's stem and downsampling are models inside: freezing opens them, as this does."""
    inside = layer.layers if isinstance(layer, keras.Model) else []
    return list(itertools.chain(*map(leaves, inside))) if inside else [layer.name]


def stages_of(name: str) -> list[str]:
    """The contract of any network: each stage starts behind the tap before it, and holds a kernel of its own stride."""
    side = 224 if "NASNet" in name else None
    with without_weights():
        model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(side, side, 3))
        model = keras.Model(model.inputs, model.outputs, name="mine")  # by its strides, not as an entry of the zoo
    stages = kv.backbones.stages(model)
    assert list(stages) == [f"stage{i}" for i in range(1, len(stages) + 1)]
    names = leaves(model)
    starts = [names.index(start) for start in stages.values()]
    assert starts[0] == 0 and starts == sorted(set(starts))
    order = list(itertools.chain(*map(leaves, model.operations)))
    ends = [order.index(leaves(tap.operation)[-1]) for tap in trunk.taps(trunk.graph(model))]
    for start, (before, end) in zip(list(stages.values())[1:], itertools.pairwise(ends), strict=False):
        assert before < order.index(start) <= end
    return list(stages.values())


@pytest.mark.parametrize("name", IN_CI_OR_SLOW)
def test_every_constructor(name):
    """Four where the stem has stride 4; VGG has strides 1 to 32, but nothing to train at 32."""
    assert len(stages_of(name)) == (4 if "ConvNeXt" in name else 5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VGG16", ["block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"]),
        ("ResNet50", [f"conv{i}_block1_1_conv" for i in (2, 3, 4, 5)]),
        # the last block of a stage halves: it belongs to the next
        (
            "ResNet50V2",
            ["conv2_block1_preact_bn", *(f"conv{i}_preact_bn" for i in ("2_block3", "3_block4", "4_block6"))],
        ),
        ("DenseNet121", [f"conv{i}_block1_0_bn" for i in (2, 3, 4, 5)]),
    ],
)
def test_starts_as_the_papers_part_them(name, expected):
    assert stages_of(name)[1:] == expected


def test_entries_that_know_better():
    """An inverted residual widens before it halves: its tap is inside of a block, its stage begins with the block."""
    starts = {name: kv.backbones.stages(kv.backbones.create(name)) for name in ("MobileNetV2", "ViTTiny16")}
    assert [*starts["MobileNetV2"].values()][1:] == [f"block_{i}_expand" for i in (1, 3, 6, 13)]
    assert [*starts["ViTTiny16"].values()][1:] == [f"block{i}_norm1" for i in (4, 7, 10)]


def test_another_model_of_the_name_of_an_entry():
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, 2, name="two")(layers.Conv2D(4, 3, 2, name="one")(image))
    assert [*kv.backbones.stages(keras.Model(image, x, name="MobileNetV2")).values()][1:] == ["two"]


def mine() -> keras.Model:
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(4, 3, 2, padding="same", name="one")(image)
    x = layers.Conv2D(4, 3, 2, padding="same", name="two")(layers.ReLU()(x))
    return keras.Model(image, layers.GlobalAveragePooling2D()(x), name="mine")


def test_own_models_and_a_model_inside():
    assert kv.backbones.stages(mine()) == {"stage1": "image", "stage2": "two"}
    sequential = keras.Sequential([keras.Input((32, 32, 3)), *(layers.Conv2D(4, 3, 2, name=n) for n in ("a", "b"))])
    assert kv.backbones.stages(sequential) == {"stage1": "a", "stage2": "b"}
    image = keras.Input((64, 64, 3), name="image")
    inner = keras.Sequential([keras.Input((32, 32, 4)), layers.ReLU(), layers.Conv2D(4, 3, 2, name="inside")])
    outer = keras.Model(image, inner(layers.Conv2D(4, 3, 2, padding="same", name="one")(image)))
    assert kv.backbones.stages(outer) == {"stage1": "image", "stage2": "inside"}
    with pytest.raises(UserError, match="`backbone`"):
        kv.backbones.stages(keras.Sequential([layers.Conv2D(4, 3)]))


def test_freezing_by_the_stages_of_an_own_model():
    model = kv.transfer.attach(mine(), 3)
    kv.schedules.freeze(model, above="stage2")
    model.compile("sgd", "sparse_categorical_crossentropy")
    body = model.get_layer("body").backbone
    before = {name: body.get_layer(name).get_weights()[0].copy() for name in ("one", "two")}
    model.fit(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)), np.arange(8) % 3, verbose=0)
    moved = {name: np.abs(body.get_layer(name).get_weights()[0] - before[name]).max() > 0 for name in before}
    assert moved == {"one": False, "two": True}
    with pytest.raises(UserError, match=r"no stage or layer of 'mine'.*: top, stage1, stage2, all"):
        kv.schedules.freeze(model, above="stage3")
