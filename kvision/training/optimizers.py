"""Optimizers that live through every phase of a schedule with their moments."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks, distribute

__all__ = ["SGD", "Adam", "Phased"]


class Phased:
    """Mixin for a Keras optimizer that is built once on all variables and steps on a subset of them in each phase.

    Stock Keras loses moments and iterations when the optimizer is made anew, and its JAX trainer refuses a subset. Call
    `activate(variables)` before each `compile`.
    """

    active: tuple[int, ...] = ()

    def build(self, variables) -> None:
        super().build(variables)
        self.active = tuple(range(len(variables)))
        # the iteration at which a variable first trained; -1: not yet
        self.birth = self.add_variable((len(variables),), initializer="zeros", dtype="int32", name="birth")
        self.birth.assign(-np.ones(len(variables), "int32"))

    def activate(self, variables: Sequence) -> None:
        """Names the variables of the next phase, a subset of those given to `build`, in the order of the model."""
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


@keras.saving.register_keras_serializable(package="kvision")
class SGD(Phased, keras.optimizers.SGD):
    """`keras.optimizers.SGD` that lives through phases."""


@keras.saving.register_keras_serializable(package="kvision")
class Adam(Phased, keras.optimizers.Adam):
    """`keras.optimizers.Adam` (Kingma & Ba 2015, arXiv 1412.6980) that lives through phases.

    Its bias correction (section 3) counts from each variable's own first step. Counted from the optimizer's, a layer
    unfrozen at step 1000 would move up to five times too fast.
    """

    def update_step(self, gradient, variable, learning_rate) -> None:
        index = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, "float32")
        age = step - ops.cast(self.birth[index], "float32")

        def correction(steps):
            return ops.sqrt(1 - ops.power(self.beta_2, steps)) / (1 - ops.power(self.beta_1, steps))

        super().update_step(gradient, variable, learning_rate * correction(age) / correction(step))
