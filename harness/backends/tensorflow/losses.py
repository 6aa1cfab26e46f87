"""Losses of the TensorFlow backend: stock keras.losses objects, whose meaning is the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harness.spec import losses as spec


def loss_function(loss: spec.Loss, dtype: str = "float32") -> Callable[..., Any]:
    """A stock Keras loss: call(y_true, y_pred, sample_weight=None) -> scalar tensor.

    y_true: labels [B, ...], cast to `dtype`; y_pred: [B, ...]. The mask that Keras hung on y_pred counts, and so
    do the logits behind a softmax or sigmoid output (keras/src/losses/loss.py; backend/tensorflow/nn.py).
    """
    arguments = {name: getattr(loss, name) for name in type(loss).model_fields if name != "dtype"}
    function: Callable[..., Any] = LOSSES[type(loss)](**arguments, dtype=dtype)
    return function


LOSSES: dict[type[spec.Loss], Callable[..., Any]] = {
    cls: getattr(keras.losses, name) for name, cls in spec.LOSSES.classes.items()
}
