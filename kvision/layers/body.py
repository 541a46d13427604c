"""A backbone as one layer of a larger model."""

import keras

from kvision import checks

__all__ = ["NORMS", "Body"]

NORMS = ("frozen", "stats", "train")


@keras.saving.register_keras_serializable(package="kvision")
class Body(keras.layers.Layer):
    """Runs a backbone as one layer of a larger model and decides whether it runs in training mode.

    In Keras 3, `backbone(x, training=False)` has no effect on a functional model while the outer model trains: the
    batch statistics of a frozen backbone still change, and its dropout is active. This layer passes `training` to the
    backbone inside `call`, where Keras does not overrule the value.

    Args:
        backbone: The model to run, from images `(batch, height, width, channels)` to features.
        norm: `"frozen"` and `"stats"` run the backbone in inference mode, with fixed batch statistics and without
            dropout. The two values differ only in whether gamma and beta train, and `kv.schedules.freeze` decides about
            that. `"train"` runs the backbone in the mode of the outer model.
        name: Name of the layer. `kv.schedules` finds the backbone of a model by the name "body".
        dtype: Data type or policy of the layer, as in every Keras layer.
        trainable: If False, all layers of the backbone are frozen. If True, each layer keeps its own setting.

    Raises:
        UserError: If `norm` is unknown.

    Example:
        >>> backbone = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, strides=2)])
        >>> kv.layers.Body(backbone)(keras.Input((32, 32, 3))).shape
        (None, 15, 15, 8)
    """

    def __init__(self, backbone: keras.Model, *, norm: str = "frozen", name: str = "body", dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype)
        self.backbone = backbone
        self.norm = checks.one_of("norm", norm, NORMS)
        # Setting `trainable` to True would unfreeze layers that were frozen inside the backbone.
        if not trainable:
            self.trainable = False
        self.built = True

    def call(self, images, training=False):
        return self.backbone(images, training=bool(training) and self.norm == "train")

    def compute_output_shape(self, input_shape):
        return self.backbone.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "norm": self.norm,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "backbone": keras.saving.deserialize_keras_object(config["backbone"])})
