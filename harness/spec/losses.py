"""Keras's losses as data (keras/src/losses/losses.py): the table, and those that most recipes need.

What they have in common is in loss_base.py.
"""

from typing import TYPE_CHECKING, Literal

from harness.spec.configured import Family
from harness.spec.loss_base import Loss, PlainLoss, Reduction, Smoothing

if TYPE_CHECKING:
    from harness.spec.class_losses import (
        CTC,
        BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy,
        CategoricalHinge,
        Circle,
        Dice,
        Hinge,
        SquaredHinge,
        Tversky,
    )
    from harness.spec.value_losses import (
        CosineSimilarity,
        Huber,
        KLDivergence,
        LogCosh,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        Poisson,
    )

__all__ = [
    "CTC", "LOSSES", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle",
    "CosineSimilarity", "Dice", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
]


class SparseCategoricalCrossentropy(Loss):
    """-log p[label]; labels are integers. Elements labelled `ignore_class` do not count."""

    from_logits: bool = False
    ignore_class: int | None = None
    reduction: Reduction = "sum_over_batch_size"
    axis: Literal[-1] = -1

    @property
    def recovers_logits(self) -> bool:
        # With ignore_class Keras selects the valid predictions first, and the way back to the logits is lost.
        return self.ignore_class is None


class CategoricalCrossentropy(Loss):
    """-sum(y log p) over the class axis; labels are one-hot or probabilities."""

    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"

    @property
    def recovers_logits(self) -> bool:
        return True


class BinaryCrossentropy(Loss):
    """-(y log p + (1 - y) log(1 - p)), averaged over `axis`."""

    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"

    @property
    def recovers_logits(self) -> bool:
        return True


class MeanSquaredError(PlainLoss):
    """(y - p)^2, averaged over the last axis."""


class MeanAbsoluteError(PlainLoss):
    """|y - p|, averaged over the last axis."""


# Module -> its losses: imported when one of them is first asked for.
LATER = {
    "harness.spec.class_losses": (
        "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Hinge",
        "SquaredHinge", "CategoricalHinge", "Dice", "Tversky", "CTC", "Circle",
    ),
    "harness.spec.value_losses": (
        "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber", "LogCosh", "CosineSimilarity",
        "KLDivergence", "Poisson",
    ),
}
LOSSES: Family[Loss] = Family(
    "loss",
    (SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError, MeanAbsoluteError),
    aliases={
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "kld": "KLDivergence", "KLD": "KLDivergence",
        "kl_divergence": "KLDivergence", "huber_loss": "Huber", "mape": "MeanAbsolutePercentageError",
        "MAPE": "MeanAbsolutePercentageError", "msle": "MeanSquaredLogarithmicError",
        "MSLE": "MeanSquaredLogarithmicError", "logcosh": "LogCosh",
    },
    later=LATER,
)

if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name):
        return LOSSES.attribute(name, __name__)
