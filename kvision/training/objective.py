"""The base class of training methods. It divides the loss of a batch by the replicas and logs it."""

from abc import abstractmethod

import keras
from keras import ops

from kvision import checks
from kvision.distribute.strategy import replica_count

__all__ = ["Objective"]


class _Spread(keras.metrics.Mean):
    """A mean that is NaN if nothing was added. The value 0 would mean a collapse."""

    def result(self):
        return ops.where(self.count > 0, super().result(), float("nan"))


class Objective(keras.Model):
    """Base class of training methods that need more than a model and labels.

    Final subclasses create all parts in `__init__` and write four methods:

    - `call(batch, training=False)` returns a dict of float32 tensors, each with the batch as first axis. The views of
      the batch are `self.look(batch, "a", ...)`.
    - `objective(outputs)` returns the scalar mean loss of this replica's batch, not divided by the replicas.
    - `trivial(outputs)` returns the loss at chance, for the logs.
    - `embedding(outputs)` returns `(batch, width)` embeddings. Their spread is logged.

    The result of a training is `encoder`. It is the model to compute embeddings with, to probe and to export. The
    method itself is saved only for resuming.

    The logs are `loss`, `trivial` and `embedding_std`: the standard deviation of unit-norm embeddings over the
    replica's batch, averaged over the width. `embedding_std` is 1 / sqrt(width) if the embeddings are spread evenly, 0
    if they have collapsed, and NaN if each batch is a single image.

    Args:
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        encoder: A functional model from images to features.
        views: A layer that creates the views inside the step. None if the data contains the views.
        drops_tail: Whether `kv.training.fit` leaves out a last, smaller batch. A loss that compares examples needs
            this. Methods that use each example alone set it to False. A `tf.data.Dataset` that may give a smaller batch
            raises an error. A PyDataset or a generator is not checked.

    Example:
        >>> class Shift(kv.training.Objective):  # learns features that do not change with the brightness
        ...     def __init__(self, encoder):
        ...         super().__init__()
        ...         self.encoder = encoder
        ...     def call(self, batch, training=False):
        ...         return {name: self.encoder(view) for name, view in self.look(batch, "a", "b").items()}
        ...     def objective(self, outputs):
        ...         return keras.ops.mean(kv.losses.nt_xent(outputs["a"], outputs["b"]))
        ...     def trivial(self, outputs):
        ...         return keras.ops.log(7.0)
        ...     def embedding(self, outputs):
        ...         return outputs["a"]
        >>> method = Shift(keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)]))
        >>> method.compile("adam")
        >>> x = np.random.default_rng(0).normal(size=(8, 6))
        >>> history = kv.training.fit(method, {"a": x, "b": x + 1}, epochs=1, batch_size=4, verbose=0)
        >>> sorted(history.history)
        ['embedding_std', 'loss', 'trivial']
    """

    encoder: keras.Model
    views: keras.layers.Layer | None = None
    drops_tail = True

    def __init__(self, **kwargs):
        # A batch is not cast to half precision here, because it may contain indices. The layers that read it cast it.
        super().__init__(autocast=False, **kwargs)
        self.trivial_value = keras.metrics.Mean(name="trivial")
        self.spread = _Spread(name="embedding_std")

    @abstractmethod
    def objective(self, outputs):
        """Returns the scalar mean loss of this replica's batch."""

    @abstractmethod
    def trivial(self, outputs):
        """Returns the loss at chance, a scalar."""

    @abstractmethod
    def embedding(self, outputs):
        """Returns the embeddings, `(batch, width)`."""

    def check_batch(self, rows: int) -> None:
        """Checks the size of a batch before the training starts. The base class accepts any size.

        A step is traced for batches of any size, so a method cannot check it there.

        Args:
            rows: Number of rows per global batch.

        Raises:
            UserError: If the method cannot train with such batches.
        """

    def look(self, batch, *names: str) -> dict:
        """Returns the views of a batch. The layer `views` creates them in the step, or the data contains them.

        Args:
            batch: The batch that `call` gets.
            *names: Names of the views that the method needs.

        Returns:
            A dict of views by name.

        Raises:
            UserError: If there are no views, or if a view is missing.
        """
        views = batch if self.views is None else self.views(batch)
        brings = "is None, and the data brings" if self.views is None else "gives"
        if not isinstance(views, dict):
            raise checks.UserError(
                "views",
                problem=f"{brings} no dictionary",
                expected="views by name, as kv.augment.MultiView makes them",
                received=type(views).__name__,
            )
        if absent := [name for name in names if name not in views]:
            raise checks.UserError(
                "views",
                problem=f"{brings} no {', '.join(map(repr, absent))}",
                expected=f"a batch with {', '.join(names)}",
                received=sorted(views),
                hint="Give the method `views=kv.selfsup.preset(...).views(size)`, or kv.data.batches "
                "`fields=kv.selfsup.preset(...).fields`",
            )
        return views

    def build(self, input_shape=None):
        self.built = True  # All parts were built in __init__.

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Divides the loss by the replicas, because gradients are summed. Keras divides only the losses it creates."""
        loss = ops.cast(self.objective(y_pred), "float32") / replica_count()
        rows = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        unit = ops.normalize(ops.cast(self.embedding(y_pred), "float32"), axis=-1)
        self.trivial_value.update_state(ops.cast(self.trivial(y_pred), "float32"), sample_weight=rows)
        self.spread.update_state(ops.mean(ops.std(unit, axis=0)), sample_weight=ops.where(rows > 1, rows, 0))
        for extra in self.losses:  # Regularizers of layers. The loss above does not include them.
            loss = loss + self._aggregate_additional_loss(extra)
        return loss
