"""A Keras model whose own `fit`, `evaluate` and `predict` work on several replicas and machines."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kvision import checks
from kvision.distribute import strategy
from kvision.distribute.conditional import if_finite

__all__ = ["extended", "overriding", "scope_of"]


@contextlib.contextmanager
def overriding(thing: Any, **methods: Callable) -> Iterator[None]:
    """While open, `thing` has these in place of its methods.

    On the instance and past Keras' tracking, not by a class of its own: Keras could not name that in a saved file.
    """
    before = {name: vars(thing)[name] for name in methods if name in vars(thing)}
    vars(thing).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(thing)[name]
        vars(thing).update(before)


def _replicated(model: keras.Model) -> dict[str, Callable]:
    """Methods for batches that come as (batch, share), see `inputs`. Keras 3.15's private names are used:
    `_maybe_symbolic_build`, `_make_function`, `_symbolic_build`, and of optimizers `_clip_gradients`,
    `_all_reduce_sum_gradients` and `_stateful_handle_finite_grads` (a test runs each).
    """
    import tensorflow as tf

    cluster = model.distribute_strategy
    train, test, infer = model.train_step, model.test_step, model.predict_step

    def nothing(iterator=None, data_batch=None):
        """`training.fit` has built the model from the batches' spec. Stock Keras averages the replicas' *images* for
        it, and fails on several machines (keras-team/keras#20585)."""

    def make_function(step_function):
        # stock Keras averages scalars over their axis 0 where there are several machines
        @tf.autograph.experimental.do_not_convert
        def one_step(iterator):
            results = cluster.run(step_function, args=(next(iterator),))
            return keras.tree.map_structure(lambda value: cluster.reduce("MEAN", value, axis=None), results)

        return one_step if model.run_eagerly else tf.function(one_step, reduce_retracing=True)

    def counts(share):
        """Whether this replica's rows count: a batch that every replica has whole does so on the first alone."""
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return tf.logical_or(first, tf.equal(share, 1.0))

    def measured_once(step: Callable, batch, share):
        before = [tf.identity(v.value) for v in model.metrics_variables]
        logs = step(batch)
        for variable, old in zip(model.metrics_variables, before, strict=True):
            variable.assign(tf.where(counts(share), tf.identity(variable.value), old))
        return logs

    def predict_step(data):
        batch, share = data
        result = infer(batch)
        rows = keras.ops.shape(keras.tree.flatten(result)[0])[0]
        return result, tf.fill([rows], tf.cast(counts(share), "int32"))

    return {
        "_maybe_symbolic_build": nothing,
        "_make_function": make_function,
        "train_step": lambda data: measured_once(train, *data),
        "test_step": lambda data: measured_once(test, *data),
        "predict_step": predict_step,
    }


def _clipping_the_sum(optimizer: keras.optimizers.Optimizer) -> dict[str, Callable]:
    """Methods by which the gradient of the global batch is clipped; stock Keras clips each replica's before the sum."""
    clip, reduce = optimizer._clip_gradients, optimizer._all_reduce_sum_gradients

    def all_reduce(pairs):
        gradients, variables = zip(*reduce(pairs), strict=True)
        return list(zip(clip(list(gradients)), variables, strict=True))

    return {"_clip_gradients": lambda gradients: gradients, "_all_reduce_sum_gradients": all_reduce}


def _scaling_together(scaler: keras.optimizers.LossScaleOptimizer) -> dict[str, Callable]:
    """A method by which all replicas leave a step out where a gradient of one is not finite; stock Keras asks the first
    of each machine, before the sum."""

    def apply(grads, trainable_variables=None):
        def then(grads):
            scaler._stateful_handle_finite_grads(list(grads), trainable_variables)

        if_finite(grads, then, lambda _: scaler._stateful_handle_non_finite_grads())

    return {"apply": apply}


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """The scope of the strategy that a model was made under."""
    made = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if made is None else made.scope()


@contextlib.contextmanager
def extended(model: keras.Model) -> Iterator[keras.Model]:
    """While open, `model` takes what `inputs` gives, its normalization sees the batches of all replicas, and what is
    clipped is the gradient of the global batch.

    Its methods are overridden, so that plain, functional and subclassed models work alike; with one replica nothing
    changes. UserError for a model made outside of the open scope, and for settings that Keras cannot run on replicas:
    steps_per_execution, jit_compile, gradient accumulation, averages that overwrite.
    """
    if strategy.replica_count() == 1:
        yield model
        return
    _refuse(model)
    norms, functions = list(_unsynchronized(model)), ("train_function", "test_function", "predict_function")
    traced = {name: getattr(model, name) for name in functions}
    with contextlib.ExitStack() as stack:
        stack.enter_context(overriding(model, **_replicated(model)))
        if (optimizer := getattr(model, "optimizer", None)) is not None:
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                stack.enter_context(overriding(optimizer, **_scaling_together(optimizer)))
                optimizer = optimizer.inner_optimizer
            stack.enter_context(overriding(optimizer, **_clipping_the_sum(optimizer)))
        try:
            for name in functions:  # traced for batches of another form
                setattr(model, name, None)
            for layer in norms:
                layer.synchronized = True
            yield model
        finally:
            for layer in norms:
                layer.synchronized = False
            for name in functions:
                setattr(model, name, traced[name])


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
    import tensorflow as tf

    if outside := [v.path for v in model.metrics_variables if not isinstance(v.value, tf.distribute.DistributedValues)]:
        raise checks.error(
            "metrics",
            problem="were not made under the strategy of their model, and would lose a replica's share",
            expected="compile(), and the metrics given to it, within `with strategy.scope():`",
            received=outside,
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
