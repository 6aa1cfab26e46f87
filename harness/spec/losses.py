"""Keras's losses as data (keras/src/losses/losses.py), with the reduction "sum_over_batch_size".

The loss of a batch is the sum of the examples' losses, each times its sample weight, divided by their number
(not by the sum of the weights); under a mask it is divided by the number of valid elements.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.spec.configured import Configured, Family

# In Keras "mean" is another word for "sum_over_batch_size" (losses/loss.py: reduce_values).
Reduction = Literal["sum_over_batch_size", "mean"]
Smoothing = Annotated[float, Field(ge=0, le=1)]


class Loss(Configured):
    """Base of all losses."""

    ignored: ClassVar[frozenset[str]] = frozenset({"name"})
    keyword_only: ClassVar[frozenset[str]] = frozenset({"dtype"})

    dtype: None = None

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


class MeanSquaredError(Loss):
    """(y - p)^2, averaged over the last axis."""

    reduction: Reduction = "sum_over_batch_size"


class MeanAbsoluteError(Loss):
    """|y - p|, averaged over the last axis."""

    reduction: Reduction = "sum_over_batch_size"


class Huber(Loss):
    """Squared up to an error of `delta`, linear beyond it."""

    delta: Annotated[float, Field(gt=0)] = 1.0
    reduction: Reduction = "sum_over_batch_size"


class KLDivergence(Loss):
    """sum(y log(y / p)) over the last axis, y and p clipped to [1e-7, 1]."""

    reduction: Reduction = "sum_over_batch_size"


LOSSES: Family[Loss] = Family(
    "loss",
    (
        SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError,
        MeanAbsoluteError, Huber, KLDivergence,
    ),
    aliases={
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "kld": KLDivergence, "KLD": KLDivergence,
        "kl_divergence": KLDivergence, "huber_loss": Huber,
    },
)
