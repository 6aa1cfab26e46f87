"""What a call of a recurrent layer may be given beside the sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.layers.base import Layer

CALL_ARGUMENTS = ("initial_state", "mask")


def check_arguments(layer: Layer, arguments: Mapping[str, Any], return_sequences: bool) -> None:
    """Raises SpecError for an argument of a call that a recurrent layer does not have."""
    for name in arguments:
        if name not in CALL_ARGUMENTS:
            raise SpecError(f"a call of {type(layer).__name__} has no argument {name!r}.",
                            hint=did_you_mean(name, CALL_ARGUMENTS))
    if "mask" in arguments and return_sequences:
        raise SpecError("a call with mask=... of a layer with return_sequences=True is not supported: the mask would "
                        "go on with the output.", hint="Let a Masking layer or Embedding(mask_zero=True) make it.")


def call_arguments(inputs: tuple[Any, ...], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that are given; `lstm(x, [h, c])` means initial_state=[h, c], as in Keras."""
    if len(inputs) > 1:
        arguments = {**dict(zip(CALL_ARGUMENTS, inputs[1:], strict=False)), **arguments}
    return {name: value for name, value in arguments.items() if value is not None}
