"""A slow copy of a network: its weights are a moving average of the other's."""

import keras
from keras import ops

from kvision import checks, distribute

__all__ = ["MomentumTwin"]


class MomentumTwin(keras.layers.Layer):
    """The momentum encoder of MoCo (He et al. 2020, arXiv 1911.05722, eq. 2).

    model: the fast network, functional. Call the twin once a step, `twin(x, training=training)`: in training first
    k <- momentum * k + (1 - momentum) * q for what trains, then its own forward; no gradient goes through. It keeps
    statistics of normalization of its own. momentum: .999 in the paper; a weight, `twin.momentum.assign(m)` changes it
    while it trains.
    groups: on one device the batch runs in so many parts, of images that are drawn anew in each step, so that no key
    shares the statistics of its query's batch: what shuffling across GPUs does in section 3.3. With replicas the
    statistics are those of the global batch, and groups do nothing. A batch must divide by it.
    """

    def __init__(self, model: keras.Model, *, momentum: float = 0.999, groups: int = 1, seed: int | None = None):
        super().__init__(dtype="float32")
        if not 0 <= momentum <= 1:
            raise checks.error("momentum", expected="a share in [0, 1]", received=momentum)
        if groups < 1:
            raise checks.error("groups", expected="a count of at least 1", received=groups)
        self.groups = groups
        self.order = keras.random.SeedGenerator(seed)
        self.slow = keras.models.clone_model(model)
        self.slow.set_weights(model.get_weights())
        for layer in self.slow._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):  # which weights alone do not reach
                layer.finalize_state()
        pairs = list(zip(self.slow.trainable_variables, model.trainable_variables, strict=True))
        self.pairs = lambda: pairs  # as a list it would make the fast weights the twin's own
        for slow, _ in pairs:
            slow.trainable = False  # of the variables alone: layers would normalize by moving statistics
        self.momentum = self.add_weight(
            (),
            initializer=keras.initializers.Constant(momentum),
            trainable=False,
            aggregation="only_first_replica",
            name="momentum",
        )
        self.built = True

    @property
    def trainable(self):
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        """A parent's `trainable` is not handed down: it would open the variables again, or stop the statistics."""
        self._trainable = True

    def check_batch(self, rows: int) -> None:
        """Raises UserError for a batch of one device that the groups do not part evenly."""
        if distribute.replica_count() == 1 and rows % self.groups:
            raise checks.error(
                "batch_size",
                problem="does not suit the momentum twin",
                expected=f"a multiple of its groups, {self.groups}",
                received=rows,
            )

    def call(self, x, training=False):
        if training:
            for slow, fast in self.pairs():
                slow.assign(self.momentum * slow + (1 - self.momentum) * fast)
        groups = self.groups if training and distribute.replica_count() == 1 else 1
        if groups == 1:
            return ops.stop_gradient(self.slow(x, training=training))
        if x.shape[0] is not None:
            self.check_batch(x.shape[0])
        order = keras.random.shuffle(ops.arange(ops.shape(x)[0]), seed=self.order)
        shuffled, rows = ops.take(x, order, axis=0), ops.shape(x)[0]
        parts = [shuffled[group * rows // groups : (group + 1) * rows // groups] for group in range(groups)]
        y = ops.concatenate([self.slow(part, training=True) for part in parts])
        return ops.stop_gradient(ops.take(y, ops.argsort(order), axis=0))
