"""What all of Keras's losses have in common, as data (keras/src/losses/loss.py).

With the reduction "sum_over_batch_size" the loss of a batch is the sum of the examples' losses, each times its
sample weight, divided by their number (not by the sum of the weights); under a mask it is divided by the number
of valid elements. "mean_with_sample_weight" divides by the sum of the weights, "sum" does not divide.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured


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


class PlainLoss(Loss):
    """A loss without arguments of its own."""

    reduction: Reduction = "sum_over_batch_size"
