"""Recurrent layers whose products are convolutions (keras/src/layers/rnn/conv_lstm.py).

Shape letters: B batch, T steps, S the dimensions of space, C channels, F filters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field, model_validator

from harness.spec.activations import ActivationArgument
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import ForgetGateBias, InitializerArgument, initializer_argument
from harness.spec.layers.base import Shape, Weight, known, product, require_rank
from harness.spec.layers.cells import Part, Rate
from harness.spec.layers.convolutional import check_dilation
from harness.spec.layers.recurrent import Recurrent
from harness.spec.layers.spatial import (
    SPACE,
    DataFormat,
    Padding,
    Size1,
    Size2,
    Size3,
    channels_first,
    channels_last,
    is_channels_first,
    window_shape,
)
from harness.spec.products import Products, make_product
from harness.spec.regularizers import RegularizerArgument


class ConvLSTM(Recurrent):
    """An LSTM over images: (B, T, S, C) to (B, S', F), or (B, T, S', F) with return_sequences. Gates i, f, c, o side
    by side in kernel (window, C, 4F).

    strides, padding and dilation act on the input's convolution; the state's has padding "same" and strides 1.
    dropout and recurrent_dropout: always four masks, over all elements of a step's input and of the state.
    """

    # Keras's signature holds arguments before these that the harness does not know (stateful).
    keyword_only: ClassVar[frozenset[str]] = Recurrent.keyword_only
    rank: ClassVar[int]

    kernel_size: Any
    strides: Any
    dilation_rate: Any
    filters: int = Field(gt=0)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    activation: ActivationArgument = "tanh"
    recurrent_activation: ActivationArgument = "sigmoid"
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    recurrent_initializer: InitializerArgument = initializer_argument("orthogonal")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    unit_forget_bias: bool = True
    kernel_regularizer: RegularizerArgument = None
    recurrent_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    recurrent_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None
    dropout: Rate = 0.0
    recurrent_dropout: Rate = 0.0
    seed: int | None = None

    @classmethod
    def positional(cls) -> list[str]:
        first = ["filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation",
                 "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
                 "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer"]
        return first

    @model_validator(mode="after")
    def _check(self) -> ConvLSTM:
        check_dilation(self)
        return self

    @property
    def stochastic(self) -> bool:
        return self.dropout > 0 or self.recurrent_dropout > 0

    def check_rank(self, shape: Shape) -> None:
        names = SPACE[self.rank]
        wanted = ", ".join(["channels", *names] if is_channels_first(self) else [*names, "channels"])
        require_rank(self, shape, self.rank + 3, f"(batch, steps, {wanted})")
        for size, what in zip(shape[2:], wanted.split(", "), strict=True):
            known(size, self, f"the {what}")

    def after_step(self, step: Shape) -> tuple[Shape, Any]:
        last = channels_last(step) if is_channels_first(self) else step
        output = window_shape(self, last, self.filters, self.kernel_size, self.strides, self.padding,
                              self.dilation_rate)
        output = channels_first(output) if is_channels_first(self) else output
        return output, [output, output]

    def step_weights(self, step: Shape) -> tuple[Weight, ...]:
        channels, width = self._channels(step), 4 * self.filters
        weights = (
            Weight("kernel", (*self.kernel_size, channels, width), self.kernel_initializer,
                   regularizer=self.kernel_regularizer, constraint=self.kernel_constraint),
            Weight("recurrent_kernel", (*self.kernel_size, self.filters, width), self.recurrent_initializer,
                   regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint),
        )
        values = ForgetGateBias(units=self.filters, others=self.bias_initializer) if self.unit_forget_bias \
            else self.bias_initializer
        bias = Weight("bias", (width,), values, regularizer=self.bias_regularizer, constraint=self.bias_constraint)
        return (*weights, bias) if self.use_bias else weights

    def _channels(self, step: Shape) -> int:
        return known(step[1] if is_channels_first(self) else step[-1], self, "the channels")

    def step_products(self, step: Shape, steps: int, states: Iterable[int]) -> Products:
        output = self.after_step(step)[0]
        positions = product(output[2:] if is_channels_first(self) else output[1:-1])
        kernel, recurrent = self.step_weights(step)[:2]
        if positions is None:
            return None
        before = make_product(2 * positions * recurrent.size, states, ["recurrent_kernel"])
        after = make_product(before.flops, [0, *states, "kernel", "recurrent_kernel", "bias"], ["recurrent_kernel"])
        return make_product(2 * positions * kernel.size * steps, [0], ["kernel"]), before, after.times(steps - 1)

    def dropout_parts(self, step: Shape) -> tuple[Part, ...]:
        image, state = (tuple(known(size, self, "all sizes") for size in shape[1:])
                        for shape in (step, self.after_step(step)[0]))
        return ((4 if self.dropout > 0 else 0, image, self.dropout),
                (4 if self.recurrent_dropout > 0 else 0, state, self.recurrent_dropout))


class ConvLSTM1D(ConvLSTM):
    """ConvLSTM over sequences of rows: (B, T, width, C)."""

    rank: ClassVar[int] = 1

    kernel_size: Size1
    strides: Size1 = (1,)
    dilation_rate: Size1 = (1,)


class ConvLSTM2D(ConvLSTM):
    """ConvLSTM over sequences of images: (B, T, height, width, C)."""

    rank: ClassVar[int] = 2

    kernel_size: Size2
    strides: Size2 = (1, 1)
    dilation_rate: Size2 = (1, 1)


class ConvLSTM3D(ConvLSTM):
    """ConvLSTM over sequences of volumes: (B, T, depth, height, width, C)."""

    rank: ClassVar[int] = 3

    kernel_size: Size3
    strides: Size3 = (1, 1, 1)
    dilation_rate: Size3 = (1, 1, 1)


LAYERS = (ConvLSTM1D, ConvLSTM2D, ConvLSTM3D)
