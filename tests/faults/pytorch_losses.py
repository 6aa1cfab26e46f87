"""Faults in what PyTorch's session makes a loss of. Shape letters: B batch, T steps, C classes."""

from __future__ import annotations

from typing import Any

from tests.faults.mutant import LOSS, LOSS_WEIGHTS, SAMPLE_WEIGHTS, Expected, Mutant
from tests.faults.patching import after_init, wrap


def of_loss(name: str, make: Any) -> None:
    """make(values) in the place of a loss's own function, by the name of its spec class."""
    from harness.backends.pytorch.losses import LOSSES
    from harness.spec import losses as spec

    cls = getattr(spec, name)
    LOSSES[cls] = make(LOSSES[cls])


def smoothing_over_the_others() -> None:
    """smoothing / (C - 1) for the other classes, 1 - smoothing for the right one."""
    def make(values: Any) -> Any:
        def smoothed(loss: Any, y_true: Any, y_pred: Any, logits: Any) -> Any:
            s, plain = loss.label_smoothing, type(loss)(label_smoothing=0.0)
            return values(plain, y_true * (1 - s) + (1 - y_true) * s / (y_true.shape[-1] - 1), y_pred, logits)

        return smoothed

    of_loss("CategoricalCrossentropy", make)


def reduced(change: Any) -> None:
    """change(original, values, weight, mask, reduction) in the place of the losses' reduction."""
    from harness.backends.pytorch import losses

    def make(original: Any) -> Any:
        def reduce(values: Any, sample_weight: Any = None, mask: Any = None, reduction: str = "sum_over_batch_size",
                   ) -> Any:
            return change(original, values, sample_weight, mask, reduction)

        return reduce

    wrap(losses, "reduce", make)


def summed(original: Any, values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    return original(values, weight, mask, "sum")


def weight_ignored(original: Any, values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    return original(values, None, mask, reduction)


def over_the_weights(original: Any, values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    return original(values, weight, mask, "mean_with_sample_weight")


def over_all_steps(original: Any, values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    """Masked steps add nothing, but are counted."""
    return original(values if mask is None else values * mask.to(values.dtype), weight, None, reduction)


def mask_ignored(original: Any, values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    return original(values, weight, None, reduction)


def broadcast() -> None:
    """Targets [B] against predictions [B, 1]: a table of all differences."""
    def make(values: Any) -> Any:
        return lambda loss, y_true, y_pred, logits: ((y_pred - y_true.reshape(-1)).square().mean(-1), None)

    of_loss("MeanSquaredError", make)


def softmax_twice() -> None:
    """The model's probabilities go into a loss that expects logits."""
    from harness.backends.pytorch import losses

    class Twice:
        """torch.nn.functional, but for one function."""

        def __init__(self, functional: Any) -> None:
            self.functional = functional

        def __getattr__(self, name: str) -> Any:
            return getattr(self.functional, name)

        def cross_entropy(self, logits_BC: Any, labels: Any, **arguments: Any) -> Any:
            return self.functional.cross_entropy(logits_BC.softmax(-1), labels, **arguments)

    wrap(losses, "F", Twice)


def of_objective(change: Any) -> None:
    from harness.backends.pytorch import session

    after_init(session.Objective, change)


def factors_ignored(objective: Any) -> None:
    objective.terms = [(function, 1.0, recovered) for function, _, recovered in objective.terms]


def half_the_penalty(objective: Any) -> None:
    """l2 / 2, as where the derivative is meant to be l2 * w."""
    objective.penalties = [(parameter, l1, l2 / 2) for parameter, l1, l2 in objective.penalties]


def activity_doubled() -> None:
    from harness.backends.pytorch.penalties import ActivityPenalties

    wrap(ActivityPenalties, "_add", lambda original: lambda self, output, penalties: original(
        self, output, [*penalties, *penalties]))


MUTANTS = (
    Mutant("label smoothing over the others", "mlp", "pytorch", smoothing_over_the_others,
           Expected(LOSS, says="smooth")),
    Mutant("loss summed", "mlp", "pytorch", reduced, Expected(LOSS, says="reduc|sum|mean"), (summed,)),
    Mutant("sample weight ignored", "sgd", "pytorch", reduced, Expected(LOSS, says=SAMPLE_WEIGHTS),
           (weight_ignored,)),
    Mutant("loss over the sum of weights", "sgd", "pytorch", reduced,
           Expected(LOSS, says=f"{SAMPLE_WEIGHTS}|sum of the weights|by their sum"),
           (over_the_weights,)),
    Mutant("loss weights ignored", "sgd", "pytorch", of_objective, Expected(LOSS, says=LOSS_WEIGHTS),
           (factors_ignored,)),
    Mutant("masked loss over all steps", "gru", "pytorch", reduced, Expected(LOSS, says="mask|tags"),
           (over_all_steps,)),
    Mutant("loss mask ignored", "gru", "pytorch", reduced, Expected(LOSS, says="mask|tags"), (mask_ignored,)),
    Mutant("targets broadcast", "rmsprop", "pytorch", broadcast, Expected(LOSS)),
    Mutant("softmax taken twice", "cnn", "pytorch", softmax_twice, Expected(LOSS, says="softmax|logits")),
    Mutant("half the weight penalty", "mlp", "pytorch", of_objective, Expected(LOSS, says="regulari|penalt|l2"),
           (half_the_penalty,)),
    Mutant("activity penalty doubled", "mlp", "pytorch", activity_doubled,
           Expected(LOSS, says="activity|regulari|penalt")),
)
