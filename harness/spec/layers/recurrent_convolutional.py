"""Recurrent layers whose products are convolutions (keras/src/layers/rnn/conv_lstm2d.py).

Shape letters: B batch, T steps, H height, W width, C channels, F filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.initializers import ForgetGateBias, InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, product, require_rank
from harness.spec.layers.convolutional import check_dilation
from harness.spec.layers.spatial import DataFormat, Padding, Size2, window_shape
from harness.spec.regularizers import RegularizerArgument

REFUSED = {
    "stateful": "what a batch computes would depend on the batches before it",
    "dropout": "its masks over images are not on the tape",
    "recurrent_dropout": "its masks over images are not on the tape",
}


class ConvLSTM2D(Layer):
    """An LSTM over images (B, T, H, W, C) whose kernels are convolutions: gates i, f, c, o side by side in kernel
    (height, width, C, 4F). To (B, H', W', F), or (B, T, H', W', F) with return_sequences.

    strides, padding and dilation act on the input's convolution; the state's has padding "same". return_state
    appends the last h and c. A masked step leaves state and output as they were.
    """

    mask_rule: ClassVar[MaskRule] = "own"
    # Keras's signature holds arguments before these that the harness does not know (constraints).
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {
        "seed", "return_sequences", "return_state", "go_backwards",
    }

    filters: int = Field(gt=0)
    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size2 = (1, 1)
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
    seed: int | None = None
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for name, reason in REFUSED.items():
            if kwargs.pop(name, False):
                raise SpecError(f"{name} is not supported: {reason}.", where=type(self).__name__)
        super().__init__(*args, **kwargs)

    @model_validator(mode="after")
    def _check(self) -> ConvLSTM2D:
        check_dilation(self)
        return self

    def image_shape(self, *shapes: Shape) -> Shape:
        """The shape of a step's output, (B, H', W', F)."""
        if len(shapes) != 1:
            raise SpecError(f"ConvLSTM2D takes one tensor of sequences, got {len(shapes)}.")
        (shape,) = shapes
        require_rank(self, shape, 5, "(batch, steps, height, width, channels)")
        for size, what in zip(shape[2:], ("the height", "the width", "the channels"), strict=True):
            known(size, self, what)
        return window_shape(self, (shape[0], *shape[2:]), self.filters, self.kernel_size, self.strides, self.padding,
                            self.dilation_rate)

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        image = self.image_shape(*shapes)
        output = (image[0], shapes[0][1], *image[1:]) if self.return_sequences else image
        return (output, image, image) if self.return_state else output

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        channels, width = known(shapes[0][-1], self, "the channels"), 4 * self.filters
        weights = (
            Weight("kernel", (*self.kernel_size, channels, width), self.kernel_initializer,
                   regularizer=self.kernel_regularizer),
            Weight("recurrent_kernel", (*self.kernel_size, self.filters, width), self.recurrent_initializer,
                   regularizer=self.recurrent_regularizer),
        )
        values = ForgetGateBias(units=self.filters, others=self.bias_initializer) if self.unit_forget_bias \
            else self.bias_initializer
        bias = Weight("bias", (width,), values, regularizer=self.bias_regularizer)
        return (*weights, bias) if self.use_bias else weights

    def flops(self, *shapes: Shape) -> int | None:
        positions = product((shapes[0][1], *self.image_shape(*shapes)[1:3]))
        kernel, recurrent = self.weights(*shapes)[:2]
        return None if positions is None else 2 * positions * (kernel.size + recurrent.size)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError: a call of this layer has no arguments beside its tensor."""
        for name in arguments:
            raise SpecError(f"a call of ConvLSTM2D with {name!r} is not supported.")


LAYERS = (ConvLSTM2D,)
