"""Where the families' tables of builders meet: spec class -> function (layer, *input shapes) -> nn.Module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from harness.backends.pytorch.layers import (
    activation,
    attention,
    convolutional,
    core,
    depthwise,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    recurrent_convolutional,
    regularization,
    reshaping,
    transposed,
    wrapping,
)

FAMILIES = (
    activation, attention, convolutional, core, depthwise, merging, normalization, pooling, preprocessing, recurrent,
    recurrent_convolutional, regularization, reshaping, transposed, wrapping,
)

BUILDERS: dict[type, Callable[..., nn.Module]] = {}
for _family in FAMILIES:
    _table: dict[Any, Any] = _family.BUILDERS
    BUILDERS.update(_table)
