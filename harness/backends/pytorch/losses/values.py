"""What the losses share: the types, the ranks and the constants of Keras's formulas."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-7  # keras.config.epsilon()
# Labels, predictions, the activation if the predictions are logits -> a value per element, and the mask they bring.
Values = tuple[Tensor, Tensor | None]


def same_rank(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Keras's squeeze_or_expand_to_same_rank: [B] meets [B, 1], [B, T] meets [B, T, 1]."""
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        return (first, second[..., None]) if second.ndim == 1 else (first[..., 0], second)
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        return (first[..., None], second) if first.ndim == 1 else (first, second[..., 0])
    return first, second


def of_shape(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The labels in the predictions' dtype. Broadcasting here would be a silent mistake."""
    if y_true.shape != y_pred.shape:
        raise ValueError(f"labels {tuple(y_true.shape)} do not fit predictions {tuple(y_pred.shape)}.")
    return y_true.to(y_pred.dtype)


def paired(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the predictions' dtype and of one shape."""
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return of_shape(y_true, y_pred), y_pred
