"""A Keras model whose own `fit`, `evaluate` and `predict` work on several replicas and machines."""

import contextlib
from collections.abc import Iterator

import keras

from kvision import checks
from kvision.distribute import strategy

__all__ = ["extended", "scope_of"]


class _Replicated:
    """Goes before a model's class. Batches come as (batch, share), see `inputs`. Keras 3.15's private names are used:
    `_maybe_symbolic_build`, `_make_function`, `_symbolic_build` (a test runs each).
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: `training.fit` has built the model from the batches' spec. Stock Keras averages the replicas'
        *images* for it, and fails on several machines (keras-team/keras#20585)."""

    def _make_function(self, step_function):
        import tensorflow as tf

        cluster = self.distribute_strategy

        # stock Keras averages scalars over their axis 0 where there are several machines
        @tf.autograph.experimental.do_not_convert
        def one_step(iterator):
            results = cluster.run(step_function, args=(next(iterator),))
            return keras.tree.map_structure(lambda value: cluster.reduce("MEAN", value, axis=None), results)

        return one_step if self.run_eagerly else tf.function(one_step, reduce_retracing=True)

    def train_step(self, data):
        batch, share = data
        return self._weighed(super().train_step, batch, share)

    def test_step(self, data):
        batch, share = data
        return self._weighed(super().test_step, batch, share)

    def _weighed(self, step, batch, share):
        """A batch that every replica has whole counts once: sums of metrics grow by their part alone."""
        import tensorflow as tf

        before = [tf.identity(v.value) for v in self.metrics_variables]
        logs = step(batch)
        for variable, old in zip(self.metrics_variables, before, strict=True):
            new = tf.identity(variable.value)
            scaled = old + tf.cast(share, new.dtype) * (new - old) if new.dtype.is_floating else new
            variable.assign(scaled)
        return logs

    def predict_step(self, data):
        import tensorflow as tf

        batch, share = data
        result = super().predict_step(batch)
        rows = keras.ops.shape(keras.tree.flatten(result)[0])[0]
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        keep = tf.cast(tf.logical_or(first, tf.equal(share, 1.0)), "int32")  # else they are the first replica's again
        return result, tf.fill([rows], keep)


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """The scope of the strategy that a model was made under."""
    made = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if made is None else made.scope()


@contextlib.contextmanager
def extended(model: keras.Model) -> Iterator[keras.Model]:
    """While open, `model` takes what `inputs` gives, and its normalization sees the batches of all replicas.

    The instance's class is extended, so that plain, functional and subclassed models work alike; with one replica
    nothing changes. UserError for a model made outside of the open scope, and for settings that Keras cannot run on
    replicas: steps_per_execution, jit_compile, gradient accumulation, averages that overwrite.
    """
    if strategy.replica_count() == 1:
        yield model
        return
    _refuse(model)
    plain, norms = model.__class__, list(_unsynchronized(model))
    functions = ("train_function", "test_function", "predict_function")
    traced = {name: getattr(model, name) for name in functions}
    model.__class__ = _class(plain)
    for name in functions:  # those were traced for batches of another form
        setattr(model, name, None)
    for layer in norms:
        layer.synchronized = True
    try:
        yield model
    finally:
        for layer in norms:
            layer.synchronized = False
        model.__class__ = plain
        for name in functions:
            setattr(model, name, traced[name])


def _class(plain: type) -> type:
    if plain not in _classes:
        _classes[plain] = type(plain.__name__, (_Replicated, plain), {"__module__": plain.__module__})
    return _classes[plain]


_classes: dict[type, type] = {}


def _unsynchronized(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized:
            yield layer


def _refuse(model: keras.Model) -> None:
    if model._distribute_strategy is not strategy.current():
        raise checks.error(
            "model",
            problem="was not made under the strategy that it is to be trained under",
            expected="`with strategy.scope():` around its construction",
            received=model.name,
        )
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer._distribution_strategy is not strategy.current():
        raise checks.error(
            "optimizer",
            problem="was not made under the strategy of its model",
            expected="`with strategy.scope():` around its construction",
            received=type(optimizer).__name__,
        )
    settings = {
        "steps_per_execution": (getattr(model, "steps_per_execution", 1) or 1) > 1,
        "jit_compile": getattr(model, "jit_compile", False) is True,
        "gradient_accumulation_steps": bool(getattr(optimizer, "gradient_accumulation_steps", None)),
        "ema_overwrite_frequency": bool(getattr(optimizer, "ema_overwrite_frequency", None)),
    }
    for name, given in settings.items():
        if given:
            raise checks.error(
                name,
                problem="does not work on several replicas: TensorFlow fails inside the step",
                expected="to be left out of compile() and of the optimizer",
                received=getattr(model, name, None) or getattr(optimizer, name, None),
                hint="Take it away, or train with strategy 'single'",
            )
