"""The momentum encoder of MoCo."""

import keras
from keras import ops

from kvision import checks, distribute

__all__ = ["MomentumTwin"]


class MomentumTwin(keras.layers.Layer):
    """A copy of a network. The weights of the copy are a moving average of the original's weights.

    Call the layer once per step: `twin(x, training=training)`. In training, the twin first updates each of its
    trainable weights, `slow = momentum * slow + (1 - momentum) * fast`, and then runs its forward pass. No gradient
    flows through the twin. The twin has its own normalization statistics. The momentum is a weight:
    `twin.momentum.assign(value)` changes it during training.

    Args:
        model: The original network, a functional model.
        momentum: Weight of the old value, in [0, 1]. The default is from the paper.
        groups: Number of groups into which one device splits the batch. The images of a group are drawn anew in each
            step, and each group is normalized separately. So a key does not share batch statistics with its query. The
            paper shuffles images across 8 GPUs for the same purpose (section 3.3). On several replicas, the statistics
            are those of the global batch, and `groups` has no effect.
        seed: Seed of the groups. If None, the seed is random.

    Raises:
        UserError: If `momentum` is outside of [0, 1], or `groups` is not positive.

    References:
        He et al. 2020, arXiv 1911.05722, equation 2.
    """

    def __init__(self, model: keras.Model, *, momentum: float = 0.999, groups: int = 1, seed: int | None = None):
        super().__init__(dtype="float32")
        if not 0 <= momentum <= 1:
            raise checks.UserError("momentum", expected="a number in [0, 1]", received=momentum)
        checks.positive({"groups": groups})
        self.groups = groups
        self.order = keras.random.SeedGenerator(seed)
        self.slow = keras.models.clone_model(model)
        self.slow.set_weights(model.get_weights())
        for layer in self.slow._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):  # This layer computes with a copy of its weights.
                layer.finalize_state()
        pairs = list(zip(self.slow.trainable_variables, model.trainable_variables, strict=True))
        # If this were a list, Keras would track it and count the original's weights as weights of the twin.
        self.pairs = lambda: pairs
        for slow, _ in pairs:
            # Only the variables are frozen: a frozen BatchNormalization layer would use its moving statistics.
            slow.trainable = False
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
        """Always True, because only the variables of the twin are frozen."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        # The `trainable` of a parent is ignored. It would unfreeze the variables, or stop the normalization statistics.
        self._trainable = True

    def check_batch(self, batch_size: int) -> None:
        """Checks that one device can split the batch evenly into groups.

        Args:
            batch_size: Global batch size.

        Raises:
            UserError: If there is one device, and `batch_size` is not a multiple of `groups`.
        """
        if distribute.replica_count() == 1 and batch_size % self.groups:
            raise checks.UserError(
                "batch_size",
                problem="cannot be split evenly by the momentum twin",
                expected=f"a multiple of `groups`, {self.groups}",
                received=batch_size,
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
