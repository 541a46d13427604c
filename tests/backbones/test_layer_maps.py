import graphs
import numpy as np

import kvision as kv


def test_vgg_has_the_outputs_of_its_13_convolutions():
    with graphs.without_weights():
        model = kv.backbones.layer_maps(kv.backbones.create("VGG16", image_size=32))
    assert model.channels == (64, 64, 128, 128, *[256] * 3, *[512] * 6) and sum(model.channels) == 4224
    assert model.strides == (1, 1, 2, 2, 4, 4, 4, *[8] * 3, *[16] * 3)


def test_maps_are_after_the_activation_and_share_weights():
    backbone = kv.backbones.create("ResNet20", image_size=32)
    model = kv.backbones.layer_maps(backbone)
    assert len(model.outputs) == 10 and model.strides == (1,) * 4 + (2,) * 3 + (4,) * 3
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    found = [np.asarray(one) for one in model(image, training=False)]
    assert all(one.min() >= 0 for one in found), "a convolution without its ReLU has negative values"
    np.testing.assert_array_equal(found[-1], np.asarray(backbone(image, training=False)))
