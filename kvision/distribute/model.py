"""Makes Keras' own `fit`, `evaluate` and `predict` of a model work on several replicas and machines."""

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
    """Replaces methods of an object inside a `with` block.

    The methods are set on the instance, without Keras' tracking. A new class would not work, because a saved file could
    not refer to it.

    Args:
        thing: Any object.
        **methods: The new methods by name.
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
    """Returns methods for batches in the form (batch, share); see `inputs`."""
    # The code uses private names of Keras 3.15. Models: `_maybe_symbolic_build`, `_make_function`, `_symbolic_build`.
    # Optimizers: `_clip_gradients`, `_all_reduce_sum_gradients`, `_stateful_handle_finite_grads`. A test runs each of
    # them.
    import tensorflow as tf

    cluster = model.distribute_strategy
    train, test, infer = model.train_step, model.test_step, model.predict_step

    def nothing(iterator=None, data_batch=None):
        """Does nothing, because `training.fit` has built the model from the spec of the batches."""
        # Stock Keras averages the replicas' *images* here, and fails on several machines (keras-team/keras#20585).

    def make_function(step_function):
        # Stock Keras averages scalars over axis 0 if there are several machines, and fails.
        @tf.autograph.experimental.do_not_convert
        def one_step(iterator):
            results = cluster.run(step_function, args=(next(iterator),))
            return keras.tree.map_structure(lambda value: cluster.reduce("MEAN", value, axis=None), results)

        return one_step if model.run_eagerly else tf.function(one_step, reduce_retracing=True)

    def counts(share):
        """Returns whether this replica's rows count. If all replicas get the whole batch, only the first counts."""
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
    """Returns methods that clip the gradient of the global batch. Keras clips on each replica before the sum."""
    clip, reduce = optimizer._clip_gradients, optimizer._all_reduce_sum_gradients

    def all_reduce(pairs):
        gradients, variables = zip(*reduce(pairs), strict=True)
        return list(zip(clip(list(gradients)), variables, strict=True))

    return {"_clip_gradients": lambda gradients: gradients, "_all_reduce_sum_gradients": all_reduce}


def _scaling_together(scaler: keras.optimizers.LossScaleOptimizer) -> dict[str, Callable]:
    """Returns a method that makes all replicas skip a step together. Keras checks one replica per machine."""

    def apply(grads, trainable_variables=None):
        def then(grads):
            scaler._stateful_handle_finite_grads(list(grads), trainable_variables)

        if_finite(grads, then, lambda _: scaler._stateful_handle_non_finite_grads())

    return {"apply": apply}


def scope_of(model: keras.Model) -> contextlib.AbstractContextManager:
    """Returns the scope of the strategy under which a model was created."""
    made = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if made is None else made.scope()


@contextlib.contextmanager
def extended(model: keras.Model) -> Iterator[keras.Model]:
    """Extends a model for replicas inside a `with` block. With one replica nothing changes.

    The extended model takes the batches of `inputs`. Its normalization uses the batches of all replicas, and the
    gradient of the global batch is clipped. The methods of the model are overridden, so this works for functional and
    for subclassed models.

    Args:
        model: A model that was created under the open scope.

    Yields:
        The model.

    Raises:
        UserError: If the model, its optimizer or its metrics were created outside the open scope. Also if the model has
            settings that Keras cannot run on replicas: steps_per_execution, jit_compile, gradient accumulation, or
            averages that overwrite the weights.
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
            for name in functions:  # These functions were traced for batches of a different form.
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
    import tensorflow as tf

    optimizer = getattr(model, "optimizer", None)
    metrics = [v.path for v in model.metrics_variables if not isinstance(v.value, tf.distribute.DistributedValues)]
    outside = {
        "was": model._distribute_strategy is not strategy.current(),
        "has an optimizer that was": optimizer and optimizer._distribution_strategy is not strategy.current(),
        f"has metrics ({', '.join(metrics)}) that were": metrics,
    }
    for what, found in outside.items():
        if found:
            raise checks.UserError(
                "model",
                problem=f"{what} not created under the strategy of the training",
                expected="`with strategy.scope():` around the model, its optimizer, its metrics and compile()",
                received=model.name,
            )
    settings = {
        "steps_per_execution": (getattr(model, "steps_per_execution", 1) or 1) > 1,
        "jit_compile": getattr(model, "jit_compile", False) is True,
        "gradient_accumulation_steps": bool(getattr(optimizer, "gradient_accumulation_steps", None)),
        "ema_overwrite_frequency": bool(getattr(optimizer, "ema_overwrite_frequency", None)),
    }
    for name, given in settings.items():
        if given:
            raise checks.UserError(
                name,
                problem="does not work on several replicas: TensorFlow fails inside the step",
                expected="to be left out of compile() and of the optimizer",
                received=getattr(model, name, None) or getattr(optimizer, name, None),
                hint="Remove it, or train with the strategy 'single'",
            )
