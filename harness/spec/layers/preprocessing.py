"""Preprocessing layers (keras/src/layers/preprocessing)."""

from __future__ import annotations

from typing import Any, ClassVar

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape


class Rescaling(Layer):
    """x * scale + offset; both may be a number or one number per channel."""

    mask_rule: ClassVar[MaskRule] = "pass"

    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...] = 0.0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            last: Any = shapes[0][-1]
            if isinstance(value, tuple) and last not in (None, len(value)) and 1 not in (len(value),):
                raise SpecError(f"Rescaling: {name} has {len(value)} numbers for inputs of shape {shapes[0]}.")
        return shapes[0]


LAYERS = (Rescaling,)
