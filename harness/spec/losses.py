"""Keras's losses as data (keras/src/losses/losses.py).

With the reduction "sum_over_batch_size" the loss of a batch is the sum of the examples' losses, each times its
sample weight, divided by their number (not by the sum of the weights); under a mask it is divided by the number
of valid elements. "mean_with_sample_weight" divides by the sum of the weights, "sum" does not divide.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured, Family


def _reduction(value: Any) -> Any:
    if value in (None, "none"):
        raise SpecError(
            "without a reduction a batch has no single loss to train on.",
            hint="Use 'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'.",
        )
    return value


def _dtype(value: Any) -> None:
    if value is not None:
        raise SpecError("a loss is computed in the precision of the run.", hint="Leave its dtype out.")


# In Keras "mean" is another word for "sum_over_batch_size" (losses/loss.py: reduce_values).
Reduction = Annotated[
    Literal["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"], BeforeValidator(_reduction)
]
Axes = int | tuple[int, ...] | None
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Smoothing = Annotated[float, Field(ge=0, le=1)]


class Loss(Configured):
    """Base of all losses."""

    ignored: ClassVar[frozenset[str]] = frozenset({"name"})
    keyword_only: ClassVar[frozenset[str]] = frozenset({"dtype"})

    dtype: Annotated[None, BeforeValidator(_dtype)] = None

    @property
    def recovers_logits(self) -> bool:
        """Whether Keras silently goes back to the logits if the prediction is the output of a softmax or a
        sigmoid (backend/tensorflow/nn.py: _get_logits), of whichever of the two."""
        return False


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


class BinaryFocalCrossentropy(Loss):
    """Binary cross-entropy times (1 - p of the true class)^gamma; with class balancing times alpha or 1 - alpha."""

    apply_class_balancing: bool = False
    alpha: Smoothing = 0.25
    gamma: NotNegative = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"

    @property
    def recovers_logits(self) -> bool:
        # With from_logits it is the loss itself that takes a sigmoid, and Keras goes back to before that one.
        return not self.from_logits


class CategoricalFocalCrossentropy(Loss):
    """-alpha (1 - p)^gamma y log p, summed over the class axis."""

    alpha: Smoothing = 0.25
    gamma: NotNegative = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"


class CategoricalGeneralizedCrossEntropy(Loss):
    """(1 - p[label]^q) / q; labels are integers (Zhang and Sabuncu 2018)."""

    q: Annotated[float, Field(gt=0, lt=1)] = 0.5
    reduction: Reduction = "sum_over_batch_size"


class _Plain(Loss):
    """A loss without arguments of its own."""

    reduction: Reduction = "sum_over_batch_size"


class MeanSquaredError(_Plain):
    """(y - p)^2, averaged over the last axis."""


class MeanAbsoluteError(_Plain):
    """|y - p|, averaged over the last axis."""


class MeanAbsolutePercentageError(_Plain):
    """100 |y - p| / max(|y|, 1e-7), averaged over the last axis."""


class MeanSquaredLogarithmicError(_Plain):
    """(log(p + 1) - log(y + 1))^2, averaged over the last axis; y and p are at least 1e-7."""


class Huber(Loss):
    """Squared up to an error of `delta`, linear beyond it."""

    delta: Annotated[float, Field(gt=0)] = 1.0
    reduction: Reduction = "sum_over_batch_size"


class LogCosh(_Plain):
    """log(cosh(p - y)), averaged over the last axis."""


class CosineSimilarity(Loss):
    """-y p / (|y| |p|) along `axis`: -1 where they have the same direction."""

    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"


class KLDivergence(_Plain):
    """sum(y log(y / p)) over the last axis, y and p clipped to [1e-7, 1]."""


class Poisson(_Plain):
    """p - y log(p + 1e-7), averaged over the last axis."""


class Hinge(_Plain):
    """max(1 - y p, 0), averaged over the last axis; labels are -1 and 1, or 0 and 1."""


class SquaredHinge(_Plain):
    """max(1 - y p, 0)^2, averaged over the last axis; labels are -1 and 1, or 0 and 1."""


class CategoricalHinge(_Plain):
    """max(largest p of the wrong classes - p of the true class + 1, 0); labels are one-hot."""


class Dice(Loss):
    """1 - 2 sum(y p) / (sum(y) + sum(p)) over `axis`, by default over the whole batch."""

    reduction: Reduction = "sum_over_batch_size"
    axis: Axes = None


class Tversky(Loss):
    """1 - sum(y p) / (sum(y p) + alpha sum(y (1 - p)) + beta sum((1 - y) p)) over `axis`, by default everything."""

    alpha: NotNegative = 0.5
    beta: NotNegative = 0.5
    reduction: Reduction = "sum_over_batch_size"
    axis: Axes = None


class CTC(_Plain):
    """-log of the probability of all ways to spread the labels over the steps, with blanks (Graves et al. 2006).

    Predictions are logits [batch, steps, classes]; class 0 is the blank. Labels [batch, length] are classes from 1
    on, with zeros behind the last; every step counts. Keras computes it in float32, whatever its dtype.
    """


class Circle(Loss):
    """softplus(logsumexp of the positives + logsumexp of the negatives), by pairs of examples (Sun et al. 2020).

    Predictions are unit vectors [batch, features], labels integers [batch]: pairs of one label are the positives.
    Examples whose value is 0 do not count.
    """

    gamma: Annotated[float, Field(allow_inf_nan=False)] = 80.0
    margin: Annotated[float, Field(allow_inf_nan=False)] = 0.4
    remove_diagonal: bool = True
    reduction: Reduction = "sum_over_batch_size"


LOSSES: Family[Loss] = Family(
    "loss",
    (
        SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, MeanSquaredError, MeanAbsoluteError,
        MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber, LogCosh, CosineSimilarity, KLDivergence,
        Poisson, Hinge, SquaredHinge, CategoricalHinge, Dice, Tversky, CTC, Circle,
    ),
    aliases={
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "kld": KLDivergence, "KLD": KLDivergence,
        "kl_divergence": KLDivergence, "huber_loss": Huber, "mape": MeanAbsolutePercentageError,
        "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError, "logcosh": LogCosh,
    },
)
