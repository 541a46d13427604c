import numpy as np

import kvision as kv


def test_parameters_sizes_and_features():
    model = kv.backbones.super_small(image_size=48)
    assert model.count_params() == 241_888
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), "uint8")
    features = np.asarray(model(images, training=False))
    assert features.shape == (2, 128) and np.abs(features[0] - features[1]).max() > 0
    assert kv.backbones.super_small(image_size=16, channels=1).output_shape == (None, 128)
    classifier = kv.transfer.attach(model, 3)
    kv.schedules.freeze(classifier, above="all", norm="train")
    assert len(classifier.trainable_variables) == len(model.trainable_variables) + 2
