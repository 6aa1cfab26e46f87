"""Builds the PyTorch module of an operation: its constants become `fixed`, its arguments those of the module."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from harness.backends.pytorch.layers import (
    operations_elementwise,
    operations_losses,
    operations_matrices,
    operations_neural,
    operations_ordering,
    operations_pairs,
    operations_reductions,
    operations_selecting,
    operations_shaping,
    operations_windows,
)
from harness.backends.pytorch.layers.operations_constants import constants, over_axes
from harness.backends.pytorch.layers.operations_reductions import OverAxes
from harness.backends.pytorch.layers.operations_special import SPECIAL
from harness.spec.layers.base import Shape
from harness.spec.operations.base import Operation

FAMILIES = (
    operations_elementwise, operations_losses, operations_matrices, operations_neural, operations_ordering,
    operations_pairs, operations_reductions, operations_selecting, operations_shaping, operations_windows,
)
# Function -> (class, arguments in front of the operation's own).
TABLE: dict[str, tuple[Any, dict[str, Any]]] = {}
for _family in FAMILIES:
    TABLE.update(_family.BUILDERS)


def build_operation(layer: Operation, arguments: Mapping[str, Any], *shapes: Shape) -> nn.Module:
    """The module of a call of the operation with these constants among its operands."""
    bound = layer.bind(shapes, arguments)
    declared = layer.declared
    function = declared.function if declared.space == "ops" else declared.canonical_name
    if function in SPECIAL:
        module: nn.Module = SPECIAL[function](layer, bound)
        return module
    cls, given = TABLE[function]
    known = inspect.signature(cls).parameters
    settings = {item.name: getattr(layer, item.name) for item in declared.parameters if not item.kind}
    settings = {name: value for name, value in settings.items() if name in known}
    if inspect.isclass(cls) and issubclass(cls, OverAxes):
        settings["axis"] = over_axes(layer.axis, shapes)  # type: ignore[attr-defined]
    fixed = constants(bound)
    built: nn.Module = cls(**given, **settings, **({"fixed": fixed} if fixed else {}))
    return built
