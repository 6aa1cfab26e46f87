"""Keras's rarely used optimizers of 2011 to 2016, as data (keras/src/optimizers)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.spec.optimizer_base import Finite, Fraction, NotNegative, Optimizer


class Adagrad(Optimizer):
    """Duchi et al. 2011; epsilon stands inside of the square root."""

    initial_accumulator_value: NotNegative = 0.1
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator",)


class Adadelta(Optimizer):
    """Zeiler 2012: steps by the ratio of two running root mean squares, epsilon inside of both roots."""

    rho: Fraction = 0.95
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")


class Adamax(Optimizer):
    """Kingma and Ba 2014, section 7: Adam with the largest gradient in place of the root mean square."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("m", "u")


class Nadam(Optimizer):
    """Dozat 2016: Adam with Nesterov's momentum, beta_1 warmed up by 1 - 0.96^t / 2."""

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NotNegative = 1e-7

    def own_slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def momentum_product(self, updates: int) -> float:
        """The product of the warmed-up beta_1 of all updates so far."""
        product = 1.0
        for step in range(1, updates + 1):
            product *= self.beta_1 * (1.0 - 0.5 * 0.96**step)
            if product == 0.0:
                break
        return product


class Ftrl(Optimizer):
    """McMahan et al. 2013, follow the regularized leader; as in Keras, NaN where the learning rate is 0."""

    learning_rate_power: Annotated[float, Field(le=0, allow_inf_nan=False)] = -0.5
    initial_accumulator_value: NotNegative = 0.1
    l1_regularization_strength: NotNegative = 0.0
    l2_regularization_strength: NotNegative = 0.0
    l2_shrinkage_regularization_strength: NotNegative = 0.0
    beta: Finite = 0.0

    def own_slots(self) -> tuple[str, ...]:
        return ("accumulator", "linear")
