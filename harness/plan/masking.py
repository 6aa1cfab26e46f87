"""Which outputs may carry a mask, as far as the spec alone can tell."""

from __future__ import annotations

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.layers.core import Embedding, Masking
from harness.spec.model import ModelSpec, Node


def check_masks(spec: ModelSpec) -> None:
    """Raises SpecError for a layer that a mask may reach under which Keras breaks off."""
    masks = mask_shapes(spec)
    for node in spec.nodes:
        found = tuple(masks.get(item) for item in node.inputs)
        if "mask" not in node.arguments and all(mask is None for mask in found):
            continue
        try:
            spec.layers[node.layer].check_masks(tuple(spec.tensors[item] for item in node.inputs), found,
                                                node.arguments)
        except SpecError as error:
            raise error.at(f"model {spec.name!r}, layer {node.name!r}") from None


def may_be_masked(spec: ModelSpec, reference: str) -> bool:
    """True if a mask that a Masking or an Embedding(mask_zero) made may have come as far as this tensor."""
    return mask_shapes(spec).get(reference.split(":")[0]) is not None


def mask_shapes(spec: ModelSpec) -> dict[str, Shape | None]:
    """The shape of the mask that each call's first output may carry, batch first; None where there is none.

    A layer that decides by itself ("own") is taken to hand its masks on; what it really does is known in training.
    """
    masks: dict[str, Shape | None] = {item.name: None for item in spec.inputs}
    for node in spec.nodes:
        masks[node.name] = _mask_of(spec, node, [masks[item.split(":")[0]] for item in node.inputs])
    return masks


# Their output carries the mask of the query (keras/src/layers/attention: compute_mask).
ATTENTION = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention")


def _mask_of(spec: ModelSpec, node: Node, given: list[Shape | None]) -> Shape | None:
    masks = [mask for mask in given if mask is not None]
    layer = spec.layers[node.layer]
    if isinstance(layer, Masking):
        return spec.tensors[node.inputs[0]][:-1]
    if isinstance(layer, Embedding) and layer.mask_zero:
        return spec.tensors[node.inputs[0]]
    if not masks or layer.call_mask_rule(node.arguments) == "drop" or layer.ends_masks:
        return None
    if layer.canonical_name() in ATTENTION:
        return given[0]
    # What becomes of several is as a rule one for the output.
    return masks[0] if len(node.inputs) == 1 else spec.tensors[node.name][:-1]
