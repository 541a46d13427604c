"""The two ends of a network that classifies colors: marks its scores, and turns them into colors."""

import keras

from kvision import checks
from kvision.ops import chroma_bins

__all__ = ["AnnealedMean", "ChromaScores"]


@keras.saving.register_keras_serializable(package="kvision")
class ChromaScores(keras.layers.Layer):
    """Marks the output of a network as scores of the bins of `kv.ops.chroma_bins`. The scores are not changed.

    The attribute `centers` holds the centers of the bins, `(bins, 2)`.

    Args:
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        cell: Side of a bin in scaled chroma.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> kv.layers.ChromaScores(cell=0.5).centers.shape
        (21, 2)
    """

    def __init__(self, standard: str = "bt601", *, cell: float = chroma_bins.CELL, name: str = "bins", **kwargs):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        self.standard, self.cell = standard, cell
        self.centers = chroma_bins.centers(standard, cell=cell)
        self.built = True

    def call(self, logits):
        return logits

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "standard": self.standard, "cell": self.cell}


@keras.saving.register_keras_serializable(package="kvision")
class AnnealedMean(keras.layers.Layer):
    """Turns scores of bins `(..., bins)` into scaled chroma `(..., 2)`, see `kv.ops.chroma_bins.annealed_mean`.

    Args:
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        cell: Side of a bin in scaled chroma.
        temperature: 1 gives the mean color, and a small number gives the most probable color.
        name: Name of the layer.
        **kwargs: Other arguments of `keras.layers.Layer`.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> kv.layers.AnnealedMean(cell=0.5)(np.zeros((1, 4, 4, 21))).shape
        TensorShape([1, 4, 4, 2])
    """

    def __init__(
        self,
        standard: str = "bt601",
        *,
        cell: float = chroma_bins.CELL,
        temperature: float = chroma_bins.TEMPERATURE,
        name: str = "annealed_mean",
        **kwargs,
    ):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        checks.positive({"temperature": temperature})
        self.standard, self.cell, self.temperature = standard, cell, temperature
        self._centers = chroma_bins.centers(standard, cell=cell)
        self.built = True

    def call(self, logits):
        return chroma_bins.annealed_mean(logits, self._centers, temperature=self.temperature)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)

    def get_config(self):
        own = {"standard": self.standard, "cell": self.cell, "temperature": self.temperature}
        return {**super().get_config(), **own}
