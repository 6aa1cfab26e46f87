"""Faults in the rules of PyTorch's optimizers: pytorch_gradients.py has those around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.mutant import UPDATE, Expected, Mutant
from tests.faults.patching import after_init, with_optimizer, wrap


def named(**changes: Any) -> None:
    """The optimizer is made with other arguments."""
    from harness.backends.pytorch.optimizers.base import Optimizer

    with_optimizer(Optimizer, **changes)


def adam(increment: Callable[..., Any]) -> None:
    """Adam's update in plain tensors: w -= increment(m, v, spec, step, rate). The moments are Keras's."""
    from harness.backends.pytorch.optimizers.native import Adam

    def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
        means, squares, step = self._states("exp_avg"), self._states("exp_avg_sq"), self.updates + 1
        for index, gradient in zip(present, gradients, strict=True):
            means[index].lerp_(gradient, 1 - self.spec.beta_1)
            squares[index].lerp_(gradient.square(), 1 - self.spec.beta_2)
            self.parameters[index].sub_(increment(means[index], squares[index], self.spec, step, learning_rate))

    wrap(Adam, "_update", lambda original: _update)


def epsilon_inside_root(m: Any, v: Any, spec: Any, step: int, rate: float) -> Any:
    correction = (1 - spec.beta_2**step) ** 0.5 / (1 - spec.beta_1**step)
    return rate * correction * m / (v + spec.epsilon).sqrt()


def epsilon_inside_correction(m: Any, v: Any, spec: Any, step: int, rate: float) -> Any:
    """torch.optim.Adam's own place."""
    return rate * m / (1 - spec.beta_1**step) / ((v / (1 - spec.beta_2**step)).sqrt() + spec.epsilon)


def without_correction(m: Any, v: Any, spec: Any, step: int, rate: float) -> Any:
    return rate * m / (v.sqrt() + spec.epsilon)


def amsgrad_ignored() -> None:
    from harness.backends.pytorch.optimizers.native import Adam

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            for largest in self._states("max_exp_avg_sq"):
                largest.zero_()
            original(self, present, gradients, learning_rate)

        return _update

    wrap(Adam, "_update", make)


def moments_in_float32() -> None:
    """The update sees gradients that went through float32."""
    from harness.backends.pytorch.optimizers.native import Adam

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            original(self, present, [gradient.copy_(gradient.float()) for gradient in gradients], learning_rate)

        return _update

    wrap(Adam, "_update", make)


def coupled_decay() -> None:
    """L2 in the gradient, as torch.optim.Adam's weight_decay."""
    from harness.backends.pytorch.optimizers.base import Optimizer

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            for index, gradient in zip(present, gradients, strict=True):
                gradient.add_(self.parameters[index], alpha=self._decays[index])
            original(self, present, gradients, learning_rate)

        return _update

    from harness.backends.pytorch.optimizers.native import Adam

    wrap(Adam, "_update", make)
    wrap(Optimizer, "_decay", lambda original: lambda self, present, learning_rate: None)


def decay_on_all() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer

    def change(made: Any) -> None:
        made._decays = [max(made._decays)] * len(made._decays)

    after_init(Optimizer, change)


def decay_after_the_update() -> None:
    from harness.backends.pytorch.optimizers.base import Optimizer
    from harness.backends.pytorch.optimizers.native import Adam

    decay = Optimizer._decay

    def make(original: Any) -> Any:
        def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
            original(self, present, gradients, learning_rate)
            decay(self, present, learning_rate)

        return _update

    wrap(Adam, "_update", make)
    wrap(Optimizer, "_decay", lambda original: lambda self, present, learning_rate: None)


def sgd_update(update: Callable[..., Any]) -> None:
    """SGD's update in plain tensors: `update(buffer, gradient, spec, rate)` changes the buffer and gives the increment.
    The buffer is kept as Keras's momentum, with its sign."""
    from harness.backends.pytorch.optimizers.native import SGD

    def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
        self.scale = -1.0  # so that the slots tell the buffer as it is
        buffers = self._states("momentum_buffer")
        for index, gradient in zip(present, gradients, strict=True):
            self.parameters[index].add_(update(buffers[index], gradient, self.spec, learning_rate))

    wrap(SGD, "_update", lambda original: _update)
    wrap(SGD, "_write", lambda original: lambda self, name, tensors: [
        buffer.copy_(tensor) for buffer, tensor in zip(self._states("momentum_buffer"), tensors, strict=True)])


def dampened(buffer: Any, gradient: Any, spec: Any, rate: float) -> Any:
    """torch.optim.SGD(dampening=momentum)."""
    buffer.mul_(spec.momentum).sub_(gradient, alpha=rate * (1 - spec.momentum))
    return spec.momentum * buffer - rate * gradient


def plain_momentum(buffer: Any, gradient: Any, spec: Any, rate: float) -> Any:
    return buffer.mul_(spec.momentum).sub_(gradient, alpha=rate).clone()


def rate_outside() -> None:
    """torch's own: the buffer holds gradients, and the rate of the step multiplies all of it."""
    from harness.backends.pytorch.optimizers.native import SGD

    def _scale_gradients(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
        if self.scale is None:
            for buffer in self._states("momentum_buffer"):
                buffer.div_(learning_rate)
        self.scale = self.native.param_groups[0]["lr"] = learning_rate

    wrap(SGD, "_scale_gradients", lambda original: _scale_gradients)


def rmsprop(centered: bool = True, epsilon_outside: bool = False, rate_outside: bool = False) -> None:
    from harness.backends.pytorch.optimizers.foreach import RMSprop

    def _update(self: Any, present: list[int], gradients: list[Any], learning_rate: float) -> None:
        parameters, states = self._present(present)
        slots = zip(parameters, gradients, states["velocity"], states["average_gradient"], states["momentum"],
                    strict=True)
        for parameter, gradient, square, mean, momentum in slots:
            square.lerp_(gradient.square(), 1 - self.spec.rho)
            mean.lerp_(gradient, 1 - self.spec.rho)
            variance = square - mean.square() if centered else square
            epsilon = self.spec.epsilon
            root = variance.sqrt() + epsilon if epsilon_outside else (variance + epsilon).sqrt()
            momentum.mul_(self.spec.momentum).add_(gradient / root * (1.0 if rate_outside else learning_rate))
            parameter.sub_(momentum * (learning_rate if rate_outside else 1.0))

    wrap(RMSprop, "_update", lambda original: _update)


def updates(says: str, layer: str | None = None) -> Expected:
    """What an update's fault is to be called."""
    return Expected(UPDATE, layer, says=says)


RATE = "learning.?rate|schedule"
MUTANTS = (
    Mutant("adam epsilon 1e-8", "mlp", "pytorch", lambda: named(epsilon=1e-8), updates("epsilon")),
    Mutant("adam epsilon inside the root", "mlp", "pytorch", adam, updates("epsilon"), (epsilon_inside_root,)),
    Mutant("adam epsilon inside the correction", "mlp", "pytorch", adam, updates("epsilon"),
           (epsilon_inside_correction,)),
    Mutant("adam without bias correction", "mlp", "pytorch", adam, updates("bias.?correct|not corrected"),
           (without_correction,)),
    Mutant("adam gradients in float32", "mlp", "pytorch", moments_in_float32, updates("slot|float32|precision")),
    Mutant("amsgrad ignored", "lstm", "pytorch", amsgrad_ignored, updates("amsgrad|v_hat")),
    Mutant("decay coupled", "adamw", "pytorch", coupled_decay, updates("decay|L2")),
    Mutant("decay on biases", "adamw", "pytorch", decay_on_all, Expected(UPDATE, weight=".*/bias", says="decay")),
    Mutant("decay after the update", "adamw", "pytorch", decay_after_the_update, updates("decay")),
    Mutant("momentum dampened", "sgd", "pytorch", sgd_update, updates("momentum|dampening"), (dampened,)),
    Mutant("nesterov form", "sgd", "pytorch", sgd_update, updates("nesterov"), (plain_momentum,)),
    Mutant("momentum with the rate outside", "sgd", "pytorch", rate_outside, updates(f"momentum|{RATE}")),
    Mutant("rmsprop not centered", "rmsprop", "pytorch", lambda: rmsprop(centered=False), updates("center")),
    Mutant("rmsprop epsilon outside the root", "rmsprop", "pytorch", lambda: rmsprop(epsilon_outside=True),
           updates("epsilon")),
    Mutant("rmsprop momentum with the rate outside", "rmsprop", "pytorch", lambda: rmsprop(rate_outside=True),
           updates(f"momentum|{RATE}")),
    Mutant("average momentum 0.99", "adamw", "pytorch", lambda: named(ema_momentum=0.99), updates("ema|average")),
)
