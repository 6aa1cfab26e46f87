"""Normalization layers (keras/src/layers/normalization)."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, Ones, SquareRoot, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, normalize_axis
from harness.spec.regularizers import RegularizerArgument


def _axes(value: Any) -> Any:
    """One axis stays an int; several are sorted, as Keras sorts them."""
    if isinstance(value, (list, tuple)) and all(isinstance(item, int) for item in value):
        if not value:
            raise SpecError("the list of axes is empty.")
        return tuple(sorted(value)) if len(value) > 1 else value[0]
    return value


Axes = Annotated[int | tuple[int, ...], BeforeValidator(_axes)]


def _clipping(value: Any) -> Any:
    """The bounds, each a number; Keras's checks (batch_normalization.py)."""
    if not isinstance(value, Mapping):
        raise SpecError(f"renorm_clipping is a mapping of {', '.join(RENORM_BOUNDS)} to numbers, got {value!r}.")
    bounds = {str(key): bound for key, bound in value.items() if bound is not None}
    for key in bounds:
        if key not in RENORM_BOUNDS:
            raise SpecError(f"renorm_clipping has no {key!r}.", hint=did_you_mean(key, RENORM_BOUNDS))
    if bounds.get("rmax", math.inf) < bounds.get("rmin", -math.inf):
        raise SpecError(f"renorm_clipping: rmax must not be below rmin, got {value!r}.")
    if bounds.get("dmax", 0.0) < 0:
        raise SpecError(f"renorm_clipping: dmax must not be negative, got {value!r}.")
    return bounds


RENORM_BOUNDS = ("rmin", "rmax", "dmax")
RenormClipping = Annotated[dict[str, float], BeforeValidator(_clipping)]


def axes_of(layer: Layer, axis: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes, non-negative, in the order given. Raises SpecError if one is no axis, or the batch's, or twice."""
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(normalize_axis(item, rank, layer) for item in given)
    if 0 in axes or len(set(axes)) < len(axes):
        raise SpecError(f"{type(layer).__name__}: the axes must differ and leave the batch out, got axis={axis}.")
    return axes


def _shape_along(layer: Layer, axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    return tuple(known(shape[axis], layer, f"dimension {axis}") for axis in axes)


class BatchNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta per channel, over the batch in training and with moving
    statistics in inference. The moving variance is that of the batch without Bessel's correction.

    trainable=False freezes the layer: inference mode in training too.

    renorm: batch renormalization (Ioffe 2017); the batch's statistics are corrected towards moving ones, within
    renorm_clipping ("rmin", "rmax", "dmax"). synchronized: over the replicas of tf.distribute; a training here has one
    device, where it changes nothing.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = Field(default=1e-3, ge=0)
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerArgument = initializer_argument("zeros")
    gamma_initializer: InitializerArgument = initializer_argument("ones")
    moving_mean_initializer: InitializerArgument = initializer_argument("zeros")
    moving_variance_initializer: InitializerArgument = initializer_argument("ones")
    beta_regularizer: RegularizerArgument = None
    gamma_regularizer: RegularizerArgument = None
    beta_constraint: ConstraintArgument = None
    gamma_constraint: ConstraintArgument = None
    renorm: bool = False
    renorm_clipping: RenormClipping | None = None
    renorm_momentum: float = 0.99
    synchronized: bool = False

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        (shape,), (mask,) = shapes, masks
        if mask is None:
            return
        if len(mask) != len(shape) - 1:
            raise SpecError(f"Keras's BatchNormalization takes a mask of {len(shape) - 1} dimensions for inputs of "
                            f"shape {shape}, and the one that reaches it has {len(mask)}: {mask}.",
                            hint="Normalize before the tensor gets its further dimensions.")
        if self.trainable and self.axis != -1 and shape[self.axis] == 1:
            # batch_normalization.py: _moments squeezes the only mean away, whose size is asked for next.
            raise SpecError(f"under a mask Keras's BatchNormalization(axis={self.axis}) breaks off where that "
                            f"dimension is 1, as in inputs of shape {shape}.",
                            hint="Write axis=-1 if it is the last dimension; else put the layer before the Masking or "
                                 "the Embedding.")

    @field_validator("axis", mode="before")
    @classmethod
    def _one_axis(cls, value: Any) -> Any:
        # Keras's older configs hold a list of one axis.
        return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        self.weights(*shapes)
        return shapes[0]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        shape = _shape_along(self, axes_of(self, self.axis, len(shapes[0])), shapes[0])
        gamma = Weight("gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer,
                       constraint=self.gamma_constraint)
        beta = Weight("beta", shape, self.beta_initializer, regularizer=self.beta_regularizer,
                      constraint=self.beta_constraint)
        return (
            *((gamma,) if self.scale else ()),
            *((beta,) if self.center else ()),
            Weight("moving_mean", shape, self.moving_mean_initializer, trainable=False),
            Weight("moving_variance", shape, self.moving_variance_initializer, trainable=False),
            *(self._renorm_weights(shape) if self.renorm else ()),
        )

    def _renorm_weights(self, shape: tuple[int, ...]) -> tuple[Weight, ...]:
        stddev = SquareRoot(of=self.moving_variance_initializer)
        return (Weight("moving_stddev", shape, stddev, trainable=False),
                Weight("renorm_mean", shape, self.moving_mean_initializer, trainable=False),
                Weight("renorm_stddev", shape, stddev, trainable=False))


class LayerNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, over `axis` of each example.

    rms_scaling: Keras's deprecated x / sqrt(variance + epsilon) * gamma, without the mean subtracted and without beta.
    """

    mask_rule: ClassVar[MaskRule] = "pass"

    axis: Axes = -1
    epsilon: float = Field(default=1e-3, ge=0)
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerArgument = initializer_argument("zeros")
    gamma_initializer: InitializerArgument = initializer_argument("ones")
    beta_regularizer: RegularizerArgument = None
    gamma_regularizer: RegularizerArgument = None
    beta_constraint: ConstraintArgument = None
    gamma_constraint: ConstraintArgument = None
    rms_scaling: bool = False

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        self.weights(*shapes)
        return shapes[0]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        shape = _shape_along(self, axes_of(self, self.axis, len(shapes[0])), shapes[0])
        gamma = Weight("gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer,
                       constraint=self.gamma_constraint)
        beta = Weight("beta", shape, self.beta_initializer, regularizer=self.beta_regularizer,
                      constraint=self.beta_constraint)
        return (
            *((gamma,) if self.scale or self.rms_scaling else ()),
            *((beta,) if self.center and not self.rms_scaling else ()),
        )


class GroupNormalization(Layer):
    """Layer normalization over groups of channels; groups=-1 makes every channel a group of its own."""

    mask_rule: ClassVar[MaskRule] = "pass"

    groups: int = 32
    axis: int = -1
    epsilon: float = Field(default=1e-3, ge=0)
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerArgument = initializer_argument("zeros")
    gamma_initializer: InitializerArgument = initializer_argument("ones")
    beta_regularizer: RegularizerArgument = None
    gamma_regularizer: RegularizerArgument = None
    beta_constraint: ConstraintArgument = None
    gamma_constraint: ConstraintArgument = None

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        channels = self.weights_shape(*shapes)[0]
        if self.groups != -1 and (self.groups < 1 or channels % self.groups):
            raise SpecError(f"GroupNormalization: groups must divide the {channels} channels (or be -1), "
                            f"got {self.groups}.")
        return shapes[0]

    def weights_shape(self, *shapes: Shape) -> tuple[int, ...]:
        """(channels,)"""
        return _shape_along(self, axes_of(self, self.axis, len(shapes[0])), shapes[0])

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        shape = self.weights_shape(*shapes)
        gamma = Weight("gamma", shape, self.gamma_initializer, regularizer=self.gamma_regularizer,
                       constraint=self.gamma_constraint)
        beta = Weight("beta", shape, self.beta_initializer, regularizer=self.beta_regularizer,
                      constraint=self.beta_constraint)
        return (*((gamma,) if self.scale else ()), *((beta,) if self.center else ()))


class RMSNormalization(Layer):
    """scale * x / sqrt(mean(x^2) + epsilon) over the last axis, or the last few, of each example."""

    axis: Axes = -1
    epsilon: float = Field(default=1e-6, ge=0)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        self.weights(*shapes)
        return shapes[0]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        rank = len(shapes[0])
        axes = axes_of(self, self.axis, rank)
        if axes != tuple(range(rank - len(axes), rank)):
            # Keras builds the layer, and fails when it multiplies by the scale.
            raise SpecError(f"RMSNormalization works along the last axes only, got axis={self.axis}.")
        shape = _shape_along(self, axes, shapes[0])
        return (Weight("scale", shape, Ones()),)


class UnitNormalization(Layer):
    """x scaled to length 1 along `axis`."""

    mask_rule: ClassVar[MaskRule] = "pass"

    axis: Axes = -1

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        axes_of(self, self.axis, len(shapes[0]))
        return shapes[0]


LAYERS = (BatchNormalization, LayerNormalization, GroupNormalization, RMSNormalization, UnitNormalization)
