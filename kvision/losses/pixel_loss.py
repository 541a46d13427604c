"""The Keras loss for segmentation: one loss of `kv.losses`, or a sum of several."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.choices import PIXEL_LOSSES
from kvision.losses import pixels

__all__ = ["PIXEL_LOSSES", "PixelLoss"]


@keras.saving.register_keras_serializable(package="kvision")
class PixelLoss(keras.losses.Loss):
    """A Keras loss for segmentation: one loss of `kv.losses`, or a sum of several.

    The labels are `(batch, height, width)`, `ignore` or 0 to K - 1. The logits are `(batch, height, width, K)`. The
    loss is the mean over the images. It is saved and loaded with the model.

    Args:
        terms: One or more of `"cross_entropy"`, `"focal"`, `"dice"` and `"lovasz"`. Several losses are summed. See the
            functions `pixel_cross_entropy`, `focal`, `dice` and `lovasz_softmax`.
        class_weights: K weights of the classes in `"cross_entropy"` and `"focal"`. If None, all classes have the weight
            1.
        ignore: Label of the pixels that do not count. If None, all pixels count.
        name: Name of the loss.

    Raises:
        UserError: If `terms` is empty or contains an unknown name, or if `class_weights` is given without
            `"cross_entropy"` or `"focal"`.

    Example:
        >>> loss = kv.losses.PixelLoss(("cross_entropy", "dice"))
        >>> labels, logits = np.zeros((1, 4, 4), "int32"), np.zeros((1, 4, 4, 2))
        >>> float(loss(labels, logits)) > 0
        True
    """

    def __init__(
        self,
        terms: Sequence[str] = ("cross_entropy",),
        *,
        class_weights: Sequence[float] | None = None,
        ignore: int | None = 255,
        name: str = "pixel_loss",
    ):
        super().__init__(name=name)
        if not terms:
            raise checks.UserError("terms", expected=f"one or more of {', '.join(PIXEL_LOSSES)}", received=terms)
        self.terms = tuple(checks.one_of("terms", term, PIXEL_LOSSES) for term in terms)
        if class_weights is not None and not {"cross_entropy", "focal"} & set(self.terms):
            expected = "cross_entropy or focal beside class weights: the others weigh regions, not pixels"
            raise checks.UserError("terms", expected=expected, received=self.terms)
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)
        self.ignore = ignore

    def call(self, y_true, y_pred):
        weighed = {"class_weights": self.class_weights, "ignore": self.ignore}
        values = {
            "cross_entropy": lambda: pixels.pixel_cross_entropy(y_true, y_pred, **weighed),
            "focal": lambda: pixels.focal(y_true, y_pred, **weighed),
            "dice": lambda: pixels.dice(y_true, y_pred, ignore=self.ignore),
            "lovasz": lambda: pixels.lovasz_softmax(y_true, y_pred, ignore=self.ignore),
        }
        return sum(values[term]() for term in self.terms)

    def get_config(self):
        return {"terms": self.terms, "class_weights": self.class_weights, "ignore": self.ignore, "name": self.name}
