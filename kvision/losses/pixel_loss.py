"""The loss that a network with a label for each pixel is compiled with: one of `kv.losses`, or a sum of them."""

from collections.abc import Sequence

import keras

from kvision import checks
from kvision.choices import PIXEL_LOSSES
from kvision.losses import pixels

__all__ = ["PIXEL_LOSSES", "PixelLoss"]


@keras.saving.register_keras_serializable(package="kvision")
class PixelLoss(keras.losses.Loss):
    """labels (B, H, W), `ignore` or 0 ... K - 1; logits (B, H, W, K) -> the mean over images of a sum of losses.

    terms: of "cross_entropy", "focal", "dice", "lovasz"; see `kv.losses`. class_weights: K numbers, of the first two;
    None weighs all alike. UserError for weights without one of these two.
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
            raise checks.error("terms", expected=f"one or more of {', '.join(PIXEL_LOSSES)}", received=terms)
        self.terms = tuple(checks.one_of("terms", term, PIXEL_LOSSES) for term in terms)
        if class_weights is not None and not {"cross_entropy", "focal"} & set(self.terms):
            expected = "cross_entropy or focal beside class weights: the others weigh regions, not pixels"
            raise checks.error("terms", expected=expected, received=self.terms)
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
