"""Optimizers that keep their moments through all phases of a schedule."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks
from kvision.distribute.values import read, write
from kvision.ops import fused

__all__ = ["SGD", "Adam", "AdamW", "Lamb", "Lars", "Phased"]


class Phased:
    """Mixin for a Keras optimizer that is built once on all variables and updates a subset of them in each phase.

    Keras' own optimizers lose moments and iterations if they are created again, and Keras' JAX trainer refuses a subset
    of the variables. Call `activate(variables)` before each `compile`.

    Each variable can have its own learning rate, as a factor of the learning rate of the optimizer. The factor also
    scales weight decay. The factors are saved like the moments, and a step that was traced before uses changed factors.
    (`keras.optimizers.MultiOptimizer` selects variables by path. It cannot select the variables of a backbone inside a
    model.)

    Attributes:
        active: Indices of the variables that the current phase trains.
        kernels_only: Whether weight decay applies only to kernels; see `decay_kernels_only`.
        birth: For each variable, the iteration of its first training step, or -1 before that step.
        rates: For each variable, the factor of its learning rate.
        decay: The weight decay, or None. It is a variable, so that a traced step follows a schedule.
    """

    active: tuple[int, ...] = ()
    kernels_only = False
    # For a loaded optimizer: shapes and types of all variables of the saved optimizer, and the active indices.
    _saved: tuple[Sequence, Sequence[int]] = ((), ())

    def build(self, variables) -> None:
        if self.built:
            self._replace_stand_ins(variables)
            return
        # Keras builds a loaded optimizer only on the trainable variables of the loaded model. If layers are frozen,
        # these are fewer variables than in the saved optimizer, and Keras would drop the whole state of the optimizer.
        variables, active = self._with_stand_ins(variables)
        super().build(variables)
        self.active = active
        self.birth = self.add_variable((len(variables),), initializer="zeros", dtype="int", name="birth")
        self.birth.assign(-np.ones(len(variables), "int32"))
        self.rates = self.add_variable((len(variables),), initializer="ones", dtype="float32", name="rates")
        if self.weight_decay is not None:
            start = keras.initializers.Constant(self.weight_decay)
            self.decay = self.add_variable((), initializer=start, dtype="float32", name="decay")

    def _with_stand_ins(self, variables) -> tuple[list, tuple[int, ...]]:
        """Adds stand-ins for the frozen variables of a saved optimizer. Also returns the trained indices."""
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
        """Replaces the stand-ins by the variables of the loaded model, once all these variables are given."""
        if _kinds(variables) == list(self._saved[0]):
            vars(self)["_trainable_variables"] = [*variables]  # without TensorFlow's tracking, as in Keras
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
        vars(optimizer)["_saved"] = every, built_on["active"]  # without TensorFlow's tracking
        return optimizer

    def activate(self, variables: Sequence, rates: Sequence[float] | None = None) -> None:
        """Sets the variables that the next phase trains.

        Args:
            variables: A subset of the variables given to `build`, in the order of the model.
            rates: For each of these variables, a factor of the learning rate. If None, all factors are 1.

        Raises:
            UserError: If the optimizer was not built on one of the variables.
        """
        try:
            # Indices, not variables: a tracked list of variables would become part of the optimizer's state.
            self.active = tuple(self._get_variable_index(v) for v in variables)
        except KeyError:
            raise checks.UserError(
                "variables",
                problem="include one that the optimizer was not built on",
                expected="a subset of the variables given to build()",
                received=[v.path for v in variables],
            ) from None
        birth = read(self.birth)
        newborn = [i for i in self.active if birth[i] < 0]
        birth[newborn] = int(read(self.iterations))
        self.birth.assign(birth)
        if self.use_ema:  # The average of a variable that has not trained is the variable itself.
            for i in np.flatnonzero(birth < 0):
                if (average := self._model_variables_moving_average[i]) is not None:
                    write(average, read(self._trainable_variables[i]))
        factors = np.ones(len(birth), "float32")
        factors[list(self.active)] = 1.0 if rates is None else rates
        self.rates.assign(factors)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # The numbers of all variables are computed together. One by one, each variable would take about 30 operations.
        super()._backend_update_step(grads, trainable_variables, self._numbers(learning_rate))

    def _numbers(self, learning_rate):
        """Returns one float32 row per variable: its learning rate, and further numbers of a subclass."""
        return ops.expand_dims(ops.cast(learning_rate, "float32") * self.rates, 1)

    def _own(self, variable, numbers) -> tuple[int, list]:
        """Returns the index of a variable, and its row of `_numbers`, cast to the type of the variable."""
        index = self._get_variable_index(variable)
        return index, [ops.cast(numbers[index, column], variable.dtype) for column in range(numbers.shape[1])]

    def update_step(self, gradient, variable, learning_rate) -> None:
        _, (rate,) = self._own(variable, learning_rate)
        self._shrink(variable, rate)
        super().update_step(gradient, variable, rate)

    def decay_kernels_only(self) -> None:
        """Excludes variables of fewer than two axes from weight decay: biases, gains and scales.

        If only names were excluded, weight decay would apply to vectors with unexpected names, such as the layer scales
        of ConvNeXt.
        """
        self.kernels_only = True

    def _use_weight_decay(self, variable) -> bool:
        return super()._use_weight_decay(variable) and (len(variable.shape) > 1 or not self.kernels_only)

    def _shrink(self, variable, rate) -> None:
        """Applies decoupled weight decay."""
        if self.weight_decay is not None and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * ops.cast(self.decay, variable.dtype) * rate)

    def _ages(self):
        """Returns the step count of each variable, with this step. Without `activate` it is that of the optimizer."""
        return ops.cast(self.iterations + 1, "float32") - ops.cast(ops.maximum(self.birth, 0), "float32")

    def _apply_weight_decay(self, variables) -> None:
        """Does nothing, because `update_step` applies weight decay with the learning rate of each variable."""

    def _update_model_variables_moving_average(self, trainable_variables) -> None:
        """Averages only the variables of the phase. On JAX the trainer passes only these variables."""
        momenta = ops.where(self._ages() > 1, self.ema_momentum, 0.0)
        for i in self.active:
            variable, average = self._trainable_variables[i], self._model_variables_moving_average[i]
            if average is not None:
                momentum = ops.cast(momenta[i], variable.dtype)
                average.assign(momentum * average + (1 - momentum) * variable)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):  # called by the JAX trainer
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
    """`keras.optimizers.SGD` for schedules. It keeps its momentum through all phases.

    As in Keras, the momentum remembers the learning rate of each gradient: `v = momentum * v - learning_rate * g`, then
    `w = w + v`. PyTorch and most papers multiply by the learning rate after the momentum: `v = momentum * v + g`, then
    `w = w - learning_rate * v`. The two forms are equal at a constant learning rate. When the learning rate falls, the
    steps of Keras' form are larger for about `1 / (1 - momentum)` steps. The difference is largest right after a drop
    of `kv.schedules.Steps`.

    The arguments are the same as for `keras.optimizers.SGD`.

    Example:
        >>> optimizer = kv.training.SGD(0.1, momentum=0.9, weight_decay=1e-4)
        >>> round(float(optimizer.learning_rate), 3)
        0.1
    """


@keras.saving.register_keras_serializable(package="kvision")
class Adam(Phased, keras.optimizers.Adam):
    """`keras.optimizers.Adam` for schedules. It keeps its moments through all phases.

    Bias correction counts from the first step of each variable. If it counted from the first step of the optimizer, a
    layer that is unfrozen at step 1000 would move up to five times too fast.

    The arguments are the same as for `keras.optimizers.Adam`.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(kv.training.Adam(1e-3), "mse")

    References:
        Kingma and Ba 2015, arXiv 1412.6980, section 3.
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
    """`Adam` with decoupled weight decay, scaled by the learning rate of each variable.

    Args:
        learning_rate: The learning rate, or a Keras schedule.
        weight_decay: Factor of the decay. Each step subtracts `learning_rate * weight_decay * weights`. Defaults to
            0.004, as in Keras.
        **options: Further arguments of `keras.optimizers.Adam`.

    Example:
        >>> kv.training.AdamW(1e-3, weight_decay=0.05).weight_decay
        0.05

    References:
        Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2.
    """

    def __init__(self, learning_rate=0.001, *, weight_decay: float = 0.004, **options):
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


@keras.saving.register_keras_serializable(package="kvision")
class Lamb(Phased, keras.optimizers.Lamb):
    """LAMB for large batches and for schedules. It keeps its moments through all phases.

    Weight decay is part of the update, and the trust ratio uses the norm of this update, as in the paper and in
    tensorflow-addons. `keras.optimizers.Lamb` applies weight decay separately. Its weights differ by 3e-3 after ten
    steps. Variables that are excluded with `exclude_from_weight_decay` have the trust ratio 1.

    Args:
        learning_rate: The learning rate, or a Keras schedule.
        epsilon: Number that is added to the square root of the second moment. Defaults to 1e-6, as in the code of the
            paper.
        **options: Further arguments of `keras.optimizers.Lamb`.

    Example:
        >>> kv.training.Lamb(1e-3, weight_decay=0.01).weight_decay
        0.01

    References:
        You et al. 2020, arXiv 1904.00962, algorithm 2.
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
        # 1 - beta^age. In float32 the plain difference would have an error of 1e-4 in the first steps.
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
    """LARS for large batches and for schedules. It keeps its momentum through all phases.

    The implementation follows SimCLR's TF2 code. The gradient `g + weight_decay * w` is scaled by `trust * |w| / |g +
    weight_decay * w|`, or by 1 if one of the norms is 0. The gradient is multiplied by the learning rate before it is
    added to the momentum. So the momentum remembers the learning rate of each gradient.

    Two kinds of variables are neither decayed nor scaled: biases and gains (variables with one axis), and variables
    that are excluded with `exclude_from_weight_decay`.

    Args:
        learning_rate: The learning rate, or a Keras schedule.
        momentum: Factor of the previous update, in [0, 1).
        trust: The trust coefficient.
        weight_decay: Factor of the decay: `weight_decay * weights` is added to the gradient. If None, there is no
            weight decay.
        scales_undecayed: Whether variables with two or more axes are still scaled if they are excluded with
            `exclude_from_weight_decay`, as SwAV's code does with prototypes.
        **options: Further arguments of `keras.optimizers.Optimizer`.

    Example:
        >>> optimizer = kv.training.Lars(0.3)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])

    References:
        You et al. 2017, arXiv 1708.03888.
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
