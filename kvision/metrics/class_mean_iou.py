"""The mean IoU during the training of a network that predicts edges beside the classes."""

import keras

__all__ = ["ClassMeanIoU"]


@keras.saving.register_keras_serializable(package="kvision")
class ClassMeanIoU(keras.metrics.MeanIoU):
    """The mean IoU of logits that may be followed by other channels, such as the edge logit of `with_edges`.

    Args:
        num_classes: Number K of classes. Only the first K channels of a prediction count.
        ignore_class: Label of the pixels that do not count.
        name: Name of the metric.

    Example:
        >>> metric = kv.metrics.ClassMeanIoU(2)
        >>> counts = metric.update_state(np.array([[[0, 1]]]), np.array([[[[1.0, 0.0, 9.0], [0.0, 1.0, 9.0]]]]))
        >>> round(float(metric.result()), 3)
        1.0
    """

    def __init__(self, num_classes: int, *, ignore_class: int | None = 255, name: str = "mean_iou"):
        super().__init__(num_classes, ignore_class=ignore_class, sparse_y_pred=False, name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_true, y_pred[..., : self.num_classes], sample_weight)

    def get_config(self):
        return {"num_classes": self.num_classes, "ignore_class": self.ignore_class, "name": self.name}
