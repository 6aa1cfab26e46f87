"""Which PyTorch module can hold a Keras layer's weights, and how: one declared rule per family.

Tensors are named within their module; "in_proj_weight[0:8]" is rows 0 to 7. A rule looks at the module's class and at
the shape of its first tensor only: what else is missing or left over is the mapping's to report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.certify.ports.transforms import Transform
from harness.spec.layers.base import Layer

Shape = tuple[int, ...]
Roles = Mapping[str, Shape]


@dataclass(frozen=True)
class TorchUnit:
    """A module that owns tensors, as plain data. path: its attribute path, "" for the port itself. kind: the class of
    torch.nn that it is or extends, else its own class. suffix: "_l1" for the second layer of a stacked LSTM.

    tensors: name -> shape, parameters and floating-point buffers. trainable: name -> requires_grad. calls: how often
    it is called in one pass; first_call: its place among all first calls, None where it is never called.
    """

    path: str
    kind: str
    tensors: Mapping[str, Shape]
    trainable: Mapping[str, bool]
    settings: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 1
    first_call: int | None = None
    suffix: str = ""

    @property
    def label(self) -> str:
        return (self.path or "(the port)") + self.suffix

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> TorchUnit:
        """From what a worker's child described."""
        return TorchUnit(**{**data, "tensors": {name: tuple(shape) for name, shape in data["tensors"].items()}})


@dataclass(frozen=True)
class Fit:
    """roles: role -> (tensors, transform's text). zeros: tensors that Keras has no counterpart of and that must be 0.
    """

    roles: Mapping[str, tuple[tuple[str, ...], str]]
    zeros: tuple[str, ...] = ()


Rule = Callable[[TorchUnit], Fit | None]


@dataclass(frozen=True)
class Demand:
    """Weights of a layer that belong into one module. part: "" or which part of the layer ("query")."""

    layer: str
    rule: Rule
    part: str = ""

    @property
    def label(self) -> str:
        return f"{self.layer}/{self.part}" if self.part else self.layer


def alternatives(name: str, layer: Layer, roles: Roles) -> list[list[Demand]]:
    """The ways in which a port may hold a layer: as one module, or as several."""
    kind = type(layer).__name__
    if kind in SEVERAL:
        return SEVERAL[kind](name, layer, roles)
    if kind not in SINGLE:
        return []
    rule = SINGLE[kind]
    return [[Demand(name, lambda unit: rule(layer, roles, unit))]]


def _expects(unit: TorchUnit, kinds: Sequence[str], tensor: str, shape: Shape) -> bool:
    return unit.kind in kinds and unit.tensors.get(tensor) == shape


def _shape(text: str, shape: Shape) -> Shape:
    return Transform.parse(text, shape).torch_shapes[0]


def _dense(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
    if not _expects(unit, ("Linear",), "weight", roles["kernel"][::-1]):
        return None
    return Fit({"kernel": (("weight",), "transpose"), "bias": (("bias",), "same")})


def _convolution(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
    rank = len(roles["kernel"]) - 2
    text = "permute " + " ".join(map(str, (rank + 1, rank, *range(rank))))
    if not _expects(unit, (f"Conv{rank}d",), "weight", _shape(text, roles["kernel"])):
        return None
    return Fit({"kernel": (("weight",), text), "bias": (("bias",), "same")})


def _transposed(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
    """Keras's kernel is (..., filters, channels), torch's (channels, filters, ...)."""
    rank = len(roles["kernel"]) - 2
    text = "permute " + " ".join(map(str, (rank + 1, rank, *range(rank))))
    if not _expects(unit, (f"ConvTranspose{rank}d",), "weight", _shape(text, roles["kernel"])):
        return None
    return Fit({"kernel": (("weight",), text), "bias": (("bias",), "same")})


def _depthwise(layer: Layer, roles: Roles, unit: TorchUnit, role: str = "kernel", bias: bool = True) -> Fit | None:
    rank = len(roles[role]) - 2
    if not _expects(unit, (f"Conv{rank}d",), "weight", _shape("depthwise", roles[role])):
        return None
    found = {role: (("weight",), "depthwise")}
    return Fit({**found, "bias": (("bias",), "same")} if bias else found)


def _separable(name: str, layer: Layer, roles: Roles) -> list[list[Demand]]:
    def pointwise(unit: TorchUnit) -> Fit | None:
        fit = _convolution(layer, {"kernel": roles["pointwise_kernel"]}, unit)
        return fit and Fit({"pointwise_kernel": fit.roles["kernel"], "bias": (("bias",), "same")})

    return [[Demand(name, lambda unit: _depthwise(layer, roles, unit, "depthwise_kernel", bias=False), "depthwise"),
             Demand(name, pointwise, "pointwise")]]


def _affine(kinds: Sequence[str], names: Mapping[str, str]) -> Callable[[Layer, Roles, TorchUnit], Fit | None]:
    """Normalisations: names: role -> tensor."""
    def rule(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
        present = [role for role in names if role in roles]
        if unit.kind not in kinds or not present:
            return None
        held = [role for role in present if names[role] in unit.tensors]
        if not held or any(unit.tensors[names[role]] != roles[role] for role in held):
            return None
        return Fit({role: ((names[role],), "same") for role in present})

    return rule


def _recurrent(gates: Sequence[int], kinds: Sequence[str]) -> Callable[[Layer, Roles, TorchUnit], Fit | None]:
    def rule(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
        order = " ".join(map(str, gates))
        end = unit.suffix or ("_l0" if f"weight_ih{unit.suffix}_l0" in unit.tensors else "")
        if not _expects(unit, kinds, f"weight_ih{end}", _shape(f"gates {order}", roles["kernel"])) or \
                f"weight_ih{end}_reverse" in unit.tensors:
            return None
        return _recurrent_fit(roles, order, end, "")

    return rule


def _recurrent_fit(roles: Roles, order: str, end: str, prefix: str) -> Fit:
    found: dict[str, tuple[tuple[str, ...], str]] = {
        f"{prefix}kernel": ((f"weight_ih{end}",), f"gates {order}"),
        f"{prefix}recurrent_kernel": ((f"weight_hh{end}",), f"gates {order}")}
    bias = roles.get(f"{prefix}bias")
    if bias is None:
        return Fit(found)
    if len(bias) == 2:
        return Fit({**found, f"{prefix}bias": ((f"bias_ih{end}", f"bias_hh{end}"), f"gate_bias {order}")})
    # Keras has one bias where torch adds two.
    return Fit({**found, f"{prefix}bias": ((f"bias_ih{end}",), f"gate_bias {order}")}, (f"bias_hh{end}",))


def _bidirectional(name: str, layer: Any, roles: Roles) -> list[list[Demand]]:
    gates, kinds = RECURRENT.get(type(layer.layer).__name__, ((), ()))
    if not gates:
        return []
    order = " ".join(map(str, gates))

    def rule(unit: TorchUnit) -> Fit | None:
        end = unit.suffix or "_l0"
        if not _expects(unit, kinds, f"weight_ih{end}_reverse", _shape(f"gates {order}", roles["forward/kernel"])):
            return None
        there = _recurrent_fit(roles, order, end, "forward/")
        back = _recurrent_fit(roles, order, f"{end}_reverse", "backward/")
        return Fit({**there.roles, **back.roles}, (*there.zeros, *back.zeros))

    return [[Demand(name, rule)]]


def _embedding(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
    if not _expects(unit, ("Embedding",), "weight", roles["embeddings"]):
        return None
    return Fit({"embeddings": (("weight",), "same")})


def _prelu(layer: Layer, roles: Roles, unit: TorchUnit) -> Fit | None:
    if not _expects(unit, ("PReLU",), "weight", _shape("ravel", roles["alpha"])):
        return None
    return Fit({"alpha": (("weight",), "ravel")})


HEADS = ("query", "key", "value")


def _attention(name: str, layer: Any, roles: Roles) -> list[list[Demand]]:
    """nn.MultiheadAttention; or Linear layers for query, key, value and output; or one Linear for the first three."""
    size = roles["query/kernel"][1] * roles["query/kernel"][2]
    inputs = [roles[f"{head}/kernel"] for head in HEADS]

    def native(unit: TorchUnit) -> Fit | None:
        if not _expects(unit, ("MultiheadAttention",), "in_proj_weight", (3 * size, inputs[0][0])) or \
                unit.settings.get("num_heads") != inputs[0][1]:
            return None
        return _joined("in_proj_weight", "in_proj_bias", "out_proj.")

    def _joined(weight: str, bias: str, out: str | None) -> Fit:
        found: dict[str, tuple[tuple[str, ...], str]] = {}
        for index, head in enumerate(HEADS):
            rows = f"[{index * size}:{(index + 1) * size}]"
            found[f"{head}/kernel"] = ((weight + rows,), "heads_in")
            found[f"{head}/bias"] = ((bias + rows,), "ravel")
        if out is not None:
            found["attention_output/kernel"] = ((f"{out}weight",), "heads_out")
            found["attention_output/bias"] = ((f"{out}bias",), "same")
        return Fit(found)

    def fused(unit: TorchUnit) -> Fit | None:
        same = len(set(inputs)) == 1
        return _joined("weight", "bias", None) \
            if same and _expects(unit, ("Linear",), "weight", (3 * size, inputs[0][0])) else None

    def head_rule(head: str) -> Rule:
        def rule(unit: TorchUnit) -> Fit | None:
            if not _expects(unit, ("Linear",), "weight", _shape("heads_in", roles[f"{head}/kernel"])):
                return None
            return Fit({f"{head}/kernel": (("weight",), "heads_in"), f"{head}/bias": (("bias",), "ravel")})

        return rule

    def out(unit: TorchUnit) -> Fit | None:
        if not _expects(unit, ("Linear",), "weight", _shape("heads_out", roles["attention_output/kernel"])):
            return None
        return Fit({"attention_output/kernel": (("weight",), "heads_out"),
                    "attention_output/bias": (("bias",), "same")})

    last = Demand(name, out, "output")
    return [[Demand(name, native)], [Demand(name, fused, "query, key, value"), last],
            [*(Demand(name, head_rule(head), head) for head in HEADS), last]]


# Gates of Keras's kernels in torch's order: LSTM i f c o and i f g o; GRU z r h and r z n.
RECURRENT: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "LSTM": ((0, 1, 2, 3), ("LSTM", "LSTMCell")), "GRU": ((1, 0, 2), ("GRU", "GRUCell")),
    "SimpleRNN": ((0,), ("RNN", "RNNCell")),
}
SINGLE: dict[str, Callable[[Any, Roles, TorchUnit], Fit | None]] = {
    "Dense": _dense, "Conv1D": _convolution, "Conv2D": _convolution, "Conv3D": _convolution,
    "Conv1DTranspose": _transposed, "Conv2DTranspose": _transposed, "Conv3DTranspose": _transposed,
    "DepthwiseConv1D": _depthwise, "DepthwiseConv2D": _depthwise, "Embedding": _embedding, "PReLU": _prelu,
    "BatchNormalization": _affine(
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"),
        {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}),
    "LayerNormalization": _affine(("LayerNorm",), {"gamma": "weight", "beta": "bias"}),
    "GroupNormalization": _affine(("GroupNorm",), {"gamma": "weight", "beta": "bias"}),
    "RMSNormalization": _affine(("RMSNorm",), {"scale": "weight"}),
    **{kind: _recurrent(gates, kinds) for kind, (gates, kinds) in RECURRENT.items()},
}
SEVERAL: dict[str, Callable[[str, Any, Roles], list[list[Demand]]]] = {
    "SeparableConv1D": _separable, "SeparableConv2D": _separable, "MultiHeadAttention": _attention,
    "Bidirectional": _bidirectional,
}
