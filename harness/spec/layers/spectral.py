"""SpectralNormalization (keras/src/layers/normalization/spectral_normalization.py): around a layer with a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, field_validator

from harness.errors import SpecError
from harness.spec.initializers import TruncatedNormal
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight
from harness.spec.layers.wrapping import LayerArgument
from harness.spec.products import Products
from harness.spec.regularizers import Regularizer


class SpectralNormalization(Layer):
    """Calls `layer`; in training its kernel (or table of embeddings) is first divided by an estimate of its largest
    singular value, for good, found in `power_iterations` from the vector_u of the call before (Miyato et al. 2018).

    The gradient does not pass through the division. A kernel of zeros stays. The output has the input's dtype.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    layer: LayerArgument
    power_iterations: int = Field(default=1, gt=0)

    @field_validator("layer")
    @classmethod
    def _refuse_random(cls, layer: Layer) -> Layer:
        if layer.stochastic:
            raise SpecError(f"SpectralNormalization around {type(layer).__name__} is not supported: it draws random "
                            "numbers.")
        return layer

    @property
    def inner(self) -> Layer:
        """The layer, frozen with what is around it."""
        if self.trainable or not self.layer.trainable:
            return self.layer
        return type(self.layer)(**{**dict(self.layer), "trainable": False})

    @property
    def activation(self) -> Any:
        """What the output went through last."""
        return getattr(self.layer, "activation", None)

    @property
    def activity_penalties(self) -> tuple[Regularizer, ...]:
        return (*super().activity_penalties, *self.layer.activity_penalties)

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        return self.layer.compute_output_shape(*shapes)

    def kernel_of(self, *shapes: Shape) -> Weight:
        """The weight that is divided. Raises SpecError where Keras's class has neither kernel nor embeddings."""
        weights = {weight.role: weight for weight in self.layer.weights(*shapes)}
        if "embeddings" not in weights and ("kernel" not in weights or hasattr(self.layer, "recurrent_initializer")):
            raise SpecError(f"SpectralNormalization: {type(self.layer).__name__} has no kernel and no embeddings.",
                            hint="Wrap a Dense, EinsumDense, convolution or Embedding.")
        return weights.get("kernel") or weights["embeddings"]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        kernel = self.kernel_of(*shapes)
        vector = Weight("vector_u", (1, kernel.shape[-1]), TruncatedNormal(stddev=0.02), trainable=False)
        others = (weight for weight in self.layer.weights(*shapes) if weight.role != kernel.role)
        # Keras's order: what the wrapper names as its own comes first.
        return tuple(replace(weight, trainable=weight.trainable and self.layer.trainable)
                     for weight in (kernel, vector, *others))

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        # Of the calls alone: the power iteration is done once per step, to the kernel, whatever the batch.
        return self.layer.products(shapes, arguments)


LAYERS = (SpectralNormalization,)
