"""Optimizers that live through every phase of a schedule with their moments."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks, distribute
from kvision.ops import fused

__all__ = ["SGD", "Adam", "AdamW", "Lamb", "Lars", "Phased"]


class Phased:
    """Mixin for a Keras optimizer that is built once on all variables and steps on a subset of them in each phase.

    Stock Keras loses moments and iterations when the optimizer is made anew, and its JAX trainer refuses a subset. Call
    `activate(variables)` before each `compile`. Each variable can have a rate of its own: a factor of the learning
    rate, of weight decay too. The factors are state like the moments, so that they are saved, and a step that is
    traced already obeys new ones. (`keras.optimizers.MultiOptimizer` matches variables by path, which a backbone's do
    not have inside of a model.)
    """

    active: tuple[int, ...] = ()
    kernels_only = False  # what decays; see `decay_kernels_only`
    # of an optimizer that was read from a file: the kinds of all variables that it was built on, and the active ones
    _saved: tuple[Sequence, Sequence[int]] = ((), ())

    def build(self, variables) -> None:
        if self.built:
            self._replace_stand_ins(variables)
            return
        variables, active = self._with_stand_ins(variables)
        super().build(variables)
        self.active = active
        # the iteration at which a variable first trained; -1: not yet
        self.birth = self.add_variable((len(variables),), initializer="zeros", dtype="int", name="birth")
        self.birth.assign(-np.ones(len(variables), "int32"))
        self.rates = self.add_variable((len(variables),), initializer="ones", dtype="float32", name="rates")
        if self.weight_decay is not None:  # a variable: a step that is traced already obeys a schedule
            start = keras.initializers.Constant(self.weight_decay)
            self.decay = self.add_variable((), initializer=start, dtype="float32", name="decay")

    def _with_stand_ins(self, variables) -> tuple[list, tuple[int, ...]]:
        """Adds what a saved optimizer was built on beside `variables`, and their indices.

        Keras builds a loaded optimizer on the variables that train in the loaded model, which are fewer where layers
        are frozen, and then drops its whole state.
        """
        every, active = self._saved
        if not active or _kinds(variables) != [every[i] for i in active]:
            return list(variables), tuple(range(len(variables)))
        known = dict(zip(active, variables, strict=True))
        with_stand_ins = [
            known[i] if i in known else keras.Variable("zeros", shape=shape, dtype=dtype, trainable=False)
            for i, (shape, dtype) in enumerate(every)
        ]
        return with_stand_ins, tuple(active)

    def _replace_stand_ins(self, variables) -> None:
        """Takes the variables of the loaded model, all of them at last, in place of the stand-ins."""
        if _kinds(variables) == list(self._saved[0]):
            vars(self)["_trainable_variables"] = [*variables]  # past TensorFlow's tracking, as Keras builds it
            self._trainable_variables_indices.update({self._var_key(v): i for i, v in enumerate(variables)})

    def get_config(self):
        config = super().get_config()
        if self.kernels_only:
            config["kernels_only"] = True
        if len(self.active) < len(self._trainable_variables):
            config["built_on"] = {"variables": _kinds(self._trainable_variables), "active": list(self.active)}
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        built_on = config.pop("built_on", {"variables": [], "active": []})
        kernels_only = config.pop("kernels_only", False)
        optimizer = super().from_config(config, custom_objects)
        optimizer.kernels_only = kernels_only
        every = [(tuple(shape), dtype) for shape, dtype in built_on["variables"]]
        vars(optimizer)["_saved"] = every, built_on["active"]  # past TensorFlow's tracking
        return optimizer

    def activate(self, variables: Sequence, rates: Sequence[float] | None = None) -> None:
        """Names the variables of the next phase, a subset of those given to `build`, in the order of the model; rates:
        of each, as a factor of the learning rate; None is 1."""
        try:
            # indices, not variables: a tracked list of variables would become part of the optimizer's state
            self.active = tuple(self._get_variable_index(v) for v in variables)
        except KeyError:
            raise checks.error(
                "variables",
                problem="hold one that the optimizer was not built on",
                expected="a subset of the variables given to build()",
                received=[v.path for v in variables],
            ) from None
        birth = distribute.read(self.birth)
        newborn = [i for i in self.active if birth[i] < 0]
        birth[newborn] = int(distribute.read(self.iterations))
        self.birth.assign(birth)
        if self.use_ema:  # what has not trained is its own average
            for i in np.flatnonzero(birth < 0):
                if (average := self._model_variables_moving_average[i]) is not None:
                    distribute.write(average, distribute.read(self._trainable_variables[i]))
        factors = np.ones(len(birth), "float32")
        factors[list(self.active)] = 1.0 if rates is None else rates
        self.rates.assign(factors)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # a step's numbers of all variables in a few operations, not in some thirty for each variable
        super()._backend_update_step(grads, trainable_variables, self._numbers(learning_rate))

    def _numbers(self, learning_rate):
        """-> (variables, n) float32: of each its rate, and what a subclass adds."""
        return ops.expand_dims(ops.cast(learning_rate, "float32") * self.rates, 1)

    def _own(self, variable, learning_rate) -> tuple[int, list]:
        """-> the variable's index and its row of `_numbers`, of its type."""
        index = self._get_variable_index(variable)
        called_alone = len(getattr(learning_rate, "shape", ())) < 2  # with a rate, not from `apply`
        numbers = self._numbers(learning_rate) if called_alone else learning_rate
        return index, [ops.cast(numbers[index, column], variable.dtype) for column in range(numbers.shape[1])]

    def update_step(self, gradient, variable, learning_rate) -> None:
        _, (rate,) = self._own(variable, learning_rate)
        self._shrink(variable, rate)
        super().update_step(gradient, variable, rate)

    def decay_kernels_only(self) -> None:
        """Leaves biases, gains and scales, which are the variables of fewer than two axes, without weight decay.

        By name alone, vectors with other names would decay, such as the layer scales of ConvNeXt.
        """
        self.kernels_only = True

    def _use_weight_decay(self, variable) -> bool:
        return super()._use_weight_decay(variable) and (len(variable.shape) > 1 or not self.kernels_only)

    def _shrink(self, variable, rate) -> None:
        """Decoupled weight decay."""
        if self.weight_decay is not None and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * ops.cast(self.decay, variable.dtype) * rate)

    def _ages(self):
        """Steps of each variable with this one, counted from its first; from the optimizer's without `activate`."""
        return ops.cast(self.iterations + 1, "float32") - ops.cast(ops.maximum(self.birth, 0), "float32")

    def _apply_weight_decay(self, variables) -> None:
        """Nothing: `update_step` does it, by each variable's own rate."""

    def _update_model_variables_moving_average(self, trainable_variables) -> None:
        """Of the phase's variables alone: on JAX the trainer has taken the others away, elsewhere it saves the work."""
        momenta = ops.where(self._ages() > 1, self.ema_momentum, 0.0)
        for i in self.active:
            variable, average = self._trainable_variables[i], self._model_variables_moving_average[i]
            if average is not None:
                momentum = ops.cast(momenta[i], variable.dtype)
                average.assign(momentum * average + (1 - momentum) * variable)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):  # the JAX trainer's door
        live = [self._trainable_variables[i] for i in self.active]
        mapping = [
            *zip(live, trainable_variables, strict=True),
            *zip(self.variables, optimizer_variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self.apply(grads, live)
        return (
            [scope.get_current_value(v) for v in live],
            [scope.get_current_value(v) for v in self.variables],
        )


def _kinds(variables) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(v.shape), v.dtype) for v in variables]


@keras.saving.register_keras_serializable(package="kvision")
class SGD(Phased, keras.optimizers.SGD):
    """`keras.optimizers.SGD` that lives through phases.

    As in Keras, the momentum remembers the learning rate of each gradient: `v = momentum * v - learning_rate * g`, then
    `w = w + v`. PyTorch and most papers multiply after it: `v = momentum * v + g`, then `w = w - learning_rate * v`.
    The two are equal at a constant rate. Where the rate falls, steps here are larger for some `1 / (1 - momentum)`
    steps; the difference is small for a rate that changes slowly, and greatest right after a drop of `Steps`.
    """


@keras.saving.register_keras_serializable(package="kvision")
class Adam(Phased, keras.optimizers.Adam):
    """`keras.optimizers.Adam` (Kingma & Ba 2015, arXiv 1412.6980) that lives through phases.

    Its bias correction (section 3) counts from each variable's own first step. Counted from the optimizer's, a layer
    unfrozen at step 1000 would move up to five times too fast.
    """

    def _numbers(self, learning_rate):
        rates, ages = super()._numbers(learning_rate), ops.expand_dims(self._ages(), 1)
        correction = ops.sqrt(1 - ops.power(self.beta_2, ages)) / (1 - ops.power(self.beta_1, ages))
        return ops.concatenate([rates, rates * correction], axis=1)

    def update_step(self, gradient, variable, learning_rate) -> None:
        index, (rate, corrected) = self._own(variable, learning_rate)
        self._shrink(variable, rate)
        m, v = self._momentums[index], self._velocities[index]
        if not self.amsgrad and fused.has_adam(gradient, variable):
            fused.adam(variable, m.value, v.value, gradient, corrected, self.beta_1, self.beta_2, self.epsilon)
            return
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1 - self.beta_1))
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1 - self.beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[index]
            self.assign(largest, ops.maximum(largest, v))
            v = largest
        self.assign_sub(variable, ops.divide(ops.multiply(m, corrected), ops.add(ops.sqrt(v), self.epsilon)))


@keras.saving.register_keras_serializable(package="kvision")
class AdamW(Adam):
    """`Adam` with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2), by each variable's
    own rate. weight_decay: Keras' default."""

    def __init__(self, learning_rate=0.001, *, weight_decay: float = 0.004, **options):
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


@keras.saving.register_keras_serializable(package="kvision")
class Lamb(Phased, keras.optimizers.Lamb):
    """LAMB for large batches (You et al. 2020, arXiv 1904.00962, algorithm 2), which lives through phases.

    Decay is part of the update whose norm the trust ratio compares, as in the paper and in tensorflow-addons (matched
    to 1e-6); `keras.optimizers.Lamb` decays beside it and ends 3e-3 away after ten steps. Variables that
    `exclude_from_weight_decay` names are not adapted either: their ratio is 1. epsilon: 1e-6, the paper's code.
    """

    def __init__(self, learning_rate=0.001, *, epsilon: float = 1e-6, **options):
        super().__init__(learning_rate, epsilon=epsilon, **options)

    def _numbers(self, learning_rate):
        return ops.concatenate([super()._numbers(learning_rate), ops.expand_dims(self._ages(), 1)], axis=1)

    def update_step(self, gradient, variable, learning_rate) -> None:
        index, (rate, age) = self._own(variable, learning_rate)
        gradient = ops.cast(gradient, variable.dtype)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        # 1 - beta^age; in float32 the difference itself would be off by 1e-4 in the first steps
        one, two = (-ops.expm1(age * math.log(beta)) for beta in (self.beta_1, self.beta_2))
        update = m / one / (ops.sqrt(v / two) + self.epsilon)
        if not self._use_weight_decay(variable):
            self.assign_sub(variable, rate * update)
            return
        if self.weight_decay is not None:
            update = update + ops.cast(self.decay, variable.dtype) * variable
        weight_norm, update_norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, update))
        known = ops.logical_and(weight_norm > 0, update_norm > 0)
        ratio = ops.where(known, weight_norm / ops.where(known, update_norm, 1.0), 1.0)
        self.assign_sub(variable, rate * ratio * update)


@keras.saving.register_keras_serializable(package="kvision")
class Lars(Phased, keras.optimizers.Optimizer):
    """LARS for large batches (You et al. 2017, arXiv 1708.03888), which lives through phases, by the rule of SimCLR's
    TF2 code: g + decay * w is scaled by trust * |w| / |g + decay * w|, 1 where one of them is 0; the learning rate
    multiplies before the momentum, which remembers it.

    Biases and gains (variables of one axis), and what `exclude_from_weight_decay` names, neither decay nor are scaled;
    scales_undecayed: those of more axes that it names are scaled all the same, as SwAV's code does with prototypes.
    """

    def __init__(
        self,
        learning_rate=0.3,
        *,
        momentum: float = 0.9,
        trust: float = 0.001,
        weight_decay: float = 1e-6,
        scales_undecayed: bool = False,
        **options,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **options)
        self.momentum, self.trust, self.scales_undecayed = momentum, trust, scales_undecayed

    def build(self, variables) -> None:
        built = self.built
        super().build(variables)
        if not built:
            self._momentums = self.add_optimizer_variables(self._trainable_variables, "momentum")

    def update_step(self, gradient, variable, learning_rate) -> None:
        index, (rate,) = self._own(variable, learning_rate)
        gradient, past = ops.cast(gradient, variable.dtype), self._momentums[index]
        matrix, decays = len(variable.shape) > 1, self._use_weight_decay(variable)
        if matrix and (decays or self.scales_undecayed):
            if decays and self.weight_decay is not None:
                gradient = gradient + ops.cast(self.decay, variable.dtype) * variable
            length, size = (ops.sqrt(ops.sum(ops.square(x))) for x in (gradient, variable))
            known = ops.logical_and(length > 0, size > 0)
            rate = rate * ops.where(known, self.trust * size / ops.where(known, length, 1.0), 1.0)
        self.assign(past, self.momentum * past + rate * gradient)
        self.assign_sub(variable, past)

    def get_config(self):
        own = {"momentum": self.momentum, "trust": self.trust, "scales_undecayed": self.scales_undecayed}
        return {**super().get_config(), **own}
