"""Activation layers (keras/src/layers/activations)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, normalize_axis
from harness.spec.regularizers import RegularizerArgument


class ReLU(Layer):
    """x above `threshold` (at most `max_value`), else negative_slope * (x - threshold)."""

    mask_rule: ClassVar[MaskRule] = "pass"

    max_value: float | None = Field(default=None, ge=0)
    negative_slope: float = Field(default=0.0, ge=0)
    threshold: float = Field(default=0.0, ge=0)


class LeakyReLU(Layer):
    """x above 0, else negative_slope * x. The default slope is 0.3."""

    mask_rule: ClassVar[MaskRule] = "pass"

    negative_slope: float = Field(default=0.3, ge=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "alpha" in kwargs:  # Keras's older name
            kwargs["negative_slope"] = kwargs.pop("alpha")
        super().__init__(*args, **kwargs)


class ELU(Layer):
    """x above 0, else alpha * (exp(x) - 1)."""

    mask_rule: ClassVar[MaskRule] = "pass"

    alpha: float = 1.0


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


class PReLU(Layer):
    """x above 0, else alpha * x with a trained alpha per element; axes in `shared_axes` (from 1) share theirs."""

    mask_rule: ClassVar[MaskRule] = "pass"

    alpha_initializer: InitializerArgument = initializer_argument("zeros")
    alpha_regularizer: RegularizerArgument = None
    alpha_constraint: ConstraintArgument = None
    shared_axes: Annotated[tuple[int, ...] | None, BeforeValidator(_as_tuple)] = None

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        self.weights(*shapes)
        return shapes[0]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        (shape,) = shapes
        shared = self.shared_axes or ()
        if any(not 1 <= axis < len(shape) for axis in shared):
            raise SpecError(f"PReLU: shared_axes count from 1 to {len(shape) - 1} for inputs of shape {shape}, "
                            f"got {shared}.")
        alpha = tuple(1 if axis in shared else known(shape[axis], self, f"dimension {axis}")
                      for axis in range(1, len(shape)))
        return (Weight("alpha", alpha, self.alpha_initializer, regularizer=self.alpha_regularizer,
                       constraint=self.alpha_constraint),)


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along `axis` (jointly, if several). `layer(x, mask)`: 0 where the mask is False."""

    mask_rule: ClassVar[MaskRule] = "own"
    call_arguments: ClassVar[tuple[str, ...]] = ("inputs", "mask")

    axis: int | tuple[int, ...] = -1

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        for axis in self.axis if isinstance(self.axis, tuple) else (self.axis,):
            normalize_axis(axis, len(shapes[0]), self)
        if len(shapes) > 2:
            raise SpecError(f"Softmax takes one tensor and a mask, got {len(shapes)} tensors.")
        if len(shapes) == 2:
            self._check_mask(shapes[0], shapes[1])
        return shapes[0]

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        if len(shapes) == 1 and masks[0] is not None:  # Keras hands it the mask, whose shape never fits
            raise SpecError(
                f"the mask of shape {masks[0]} that reaches this Softmax does not fit its input of shape {shapes[0]}.",
                hint='Use Activation("softmax"), which takes no notice of masks.')

    def _check_mask(self, shape: Shape, mask: Shape) -> None:
        pairs = zip(reversed(mask), reversed(shape), strict=False)
        if len(mask) > len(shape) or any(m not in (None, 1, s) for m, s in pairs if s is not None):
            raise SpecError(f"Softmax: the mask of shape {mask} does not fit inputs of shape {shape}.")


LAYERS = (ReLU, LeakyReLU, ELU, PReLU, Softmax)
