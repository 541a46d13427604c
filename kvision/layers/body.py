"""A backbone inside a larger model, with a norm policy that holds."""

import keras

from kvision import checks

__all__ = ["NORMS", "Body"]

NORMS = ("frozen", "stats", "train")


@keras.saving.register_keras_serializable(package="kvision")
class Body(keras.layers.Layer):
    """Runs `backbone`: images (B, H, W, 3) in [0, 255] -> its output; decides itself whether it runs in training mode.

    Keras 3 overwrites `backbone(x, training=False)` of a functional model when the outer model is called with
    `training=True`: statistics move and drop-connect drops inside a "frozen" backbone. A layer that passes the flag in
    its own `call` is not overruled.

    norm: "frozen" and "stats" run the backbone in inference mode (batch statistics fixed, dropout off); they differ in
        whether gamma and beta train, which `kv.schedules.freeze` decides. "train" follows the outer model.
    """

    def __init__(self, backbone: keras.Model, *, norm: str = "frozen", name: str = "body", dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype)
        self.backbone = backbone
        self.norm = checks.one_of("norm", norm, NORMS)
        if not trainable:  # True is the default; setting it would reopen the layers that the backbone froze itself
            self.trainable = False
        self.built = True

    def call(self, images, training=False):
        return self.backbone(images, training=bool(training) and self.norm == "train")

    def compute_output_shape(self, input_shape):
        return self.backbone.compute_output_shape(input_shape)

    def get_config(self):
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "norm": self.norm,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"))
        return cls(backbone, **config)
