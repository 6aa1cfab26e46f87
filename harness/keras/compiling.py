"""What `model.compile` fixed, and the optimizer's state that lives from one `fit` to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.optimizers import OPTIMIZERS, Optimizer
from harness.spec.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Compiled:
    """given: the optimizer as the script gave it; the same object keeps its state over a compile, as in Keras.

    slots, iterations: by framework. trainable: layer label -> whether it trains, as the first fit found it;
    a change after that needs a new compile, as in Keras.
    """

    optimizer: Optimizer
    given: Any
    loss: Any
    loss_weights: Any
    metrics: Any
    weighted_metrics: Any
    jit_compile: Any
    slots: dict[str, dict[str, dict[str, np.ndarray]]] = field(default_factory=dict)
    iterations: dict[str, int] = field(default_factory=dict)
    trainable: dict[str, bool] | None = None

    @property
    def execution_compile(self) -> str:
        """jit_compile=False asks for no compiler; anything else leaves the choice to each framework's side."""
        return "none" if self.jit_compile is False else "auto"

    def recipe(self, **arguments: Any) -> Recipe:
        return Recipe(loss=self.loss, optimizer=self.optimizer, metrics=self.metrics, loss_weights=self.loss_weights,
                      weighted_metrics=self.weighted_metrics, **arguments)


def compiled_from(
    before: Compiled | None, optimizer: Any, loss: Any, loss_weights: Any, metrics: Any,
    weighted_metrics: Any, jit_compile: Any, refused: Mapping[str, Any],
) -> Compiled:
    """Checks compile's arguments at once, so that a mistake is told before any training."""
    for name, value in refused.items():
        if value:
            raise SpecError(f"compile({name}={value!r}) is not supported.", hint=f"Leave {name} out.")
    if loss is None:
        raise SpecError("compile needs a loss.", hint="Write loss='sparse_categorical_crossentropy', say.")
    if isinstance(optimizer, OptimizerFace):
        optimizer = optimizer.compiled.given
    try:
        recipe = Recipe(loss=loss, optimizer=OPTIMIZERS.parse(optimizer), metrics=metrics, loss_weights=loss_weights,
                        weighted_metrics=weighted_metrics)
    except SpecError as error:
        raise error.at("compile") from None
    compiled = Compiled(recipe.optimizer, optimizer, recipe.loss, recipe.loss_weights, recipe.metrics,
                        recipe.weighted_metrics, jit_compile)
    if before is not None and isinstance(optimizer, Configured) and before.given is optimizer:
        compiled.optimizer, compiled.slots, compiled.iterations = before.optimizer, before.slots, before.iterations
    return compiled


class Number(float):
    """A float that a script may also ask for its `numpy()`, as it asks Keras's variables."""

    def numpy(self) -> float:
        return float(self)


class OptimizerFace:
    """`model.optimizer`: the optimizer's arguments, its iterations, and a learning rate that can be set."""

    def __init__(self, compiled: Compiled) -> None:
        self.__dict__["compiled"] = compiled

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("learning_rate", "lr"):
            raise SpecError(f"{name!r} of an optimizer cannot be set.", hint="Compile with a new optimizer.")
        optimizer = self.compiled.optimizer
        arguments = {key: getattr(optimizer, key) for key in type(optimizer).model_fields}
        self.compiled.optimizer = type(optimizer)(**{**arguments, "learning_rate": value})

    @property
    def iterations(self) -> int:
        return max(self.compiled.iterations.values(), default=0)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in ("learning_rate", "lr"):
            return self._learning_rate()
        return getattr(self.compiled.optimizer, name)

    def _learning_rate(self) -> Number:
        """Of the next step, where it follows a schedule."""
        from harness.plan.schedule import learning_rates

        return Number(learning_rates(self.compiled.optimizer.learning_rate, 1, self.iterations)[0])

    def get_config(self) -> dict[str, Any]:
        optimizer = self.compiled.optimizer
        return {key: getattr(optimizer, key) for key in type(optimizer).model_fields}

    def __repr__(self) -> str:
        return repr(self.compiled.optimizer)
