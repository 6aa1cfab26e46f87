"""Which outputs may carry a mask, as far as the spec alone can tell."""

from __future__ import annotations

from harness.errors import SpecError
from harness.spec.layers.activation import Softmax
from harness.spec.layers.core import Embedding, Masking
from harness.spec.layers.pooling import GlobalAveragePooling1D
from harness.spec.model import ModelSpec


def check_masks(spec: ModelSpec) -> None:
    """Raises SpecError for a Softmax layer on masked steps: Keras hands it the mask, whose shape never fits."""
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        if isinstance(layer, Softmax) and len(node.inputs) == 1 and may_be_masked(spec, node.inputs[0]):
            shape = spec.tensors[node.inputs[0]]
            raise SpecError(
                f"the mask of shape {shape[:-1]} that reaches this Softmax does not fit its input of shape {shape}.",
                where=f"model {spec.name!r}, layer {node.name!r}",
                hint='Use Activation("softmax"), which takes no notice of masks.')


def may_be_masked(spec: ModelSpec, reference: str) -> bool:
    """True if a mask that a Masking or an Embedding(mask_zero) made may have come as far as this tensor.

    A layer that decides by itself ("own") is taken to hand its masks on; what it really does is known in training.
    """
    masked: dict[str, bool] = {item.name: False for item in spec.inputs}
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        makes = isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero)
        drops = layer.mask_rule == "drop" or isinstance(layer, GlobalAveragePooling1D)
        masked[node.name] = makes or (not drops and any(masked[item.split(":")[0]] for item in node.inputs))
    return masked[reference.split(":")[0]]
