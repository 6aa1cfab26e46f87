"""Keras's dtype policies in PyTorch: which tensors and weights a layer reads in a half type, and what it computes in
float32 all the same (keras/src/layers/layer.py: __call__; decision 0010).

A weight stays a float32 parameter. While the network runs, its module finds a half copy in its place, made once for
each pass: gradients flow through the copy to the parameter. Not torch.autocast, which decides by operation and not by
layer: its layer norms, losses and sums would be of other types than Keras's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.backends.pytorch.layers.batch_normalization import BatchNormalization
from harness.backends.pytorch.layers.core import Embedding
from harness.backends.pytorch.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization
from harness.backends.pytorch.layers.pooling import Pooling
from harness.backends.pytorch.layers.preprocessing import Normalization, Rescaling
from harness.backends.pytorch.layers.preprocessing_images import Resizing
from harness.backends.pytorch.layers.preprocessing_signals import MelSpectrogram
from harness.backends.pytorch.layers.reshaping import BicubicUpSampling2D, UpSampling
from harness.errors import SpecError
from harness.plan.plan import Plan
from harness.spec.execution import MIXED
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec

if TYPE_CHECKING:
    from harness.backends.pytorch.model import Network

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
# `self.autocast = False` in Keras: their inputs and weights are read as they are, their outputs cast.
NOT_CAST: tuple[type[nn.Module], ...] = (LayerNormalization, GroupNormalization, Embedding)
# Their inputs are cast as everywhere, and then computed with in float32, with the weights as they are.
WIDE: tuple[type[nn.Module], ...] = (BatchNormalization, BicubicUpSampling2D, Resizing, MelSpectrogram)
# Likewise, with weights that are rounded to the half type first.
WIDE_FROM_HALF: tuple[type[nn.Module], ...] = (RMSNormalization,)
# Buffers that are read as weights are, and never written.
READ_BUFFERS: tuple[type[nn.Module], ...] = (nn.RNNBase, Normalization, Rescaling)
# Layers -> why the PyTorch backend does not follow Keras there.
REFUSED: dict[str, str] = {
    "SpectralNormalization": "it writes to the kernel that it reads, and rounds what it writes",
}


def is_mixed(policy: str) -> bool:
    return policy in MIXED


def variable_dtype(policy: str) -> str:
    """What Keras keeps the weights of a layer of that policy in."""
    return "float32" if is_mixed(policy) else policy


def whole(x: torch.Tensor) -> torch.Tensor:
    """A tensor of a half type as float32; any other as it is. NumPy has no bfloat16, and losses and metrics are
    float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class MixedPrecision:
    """What is cast around each layer of a network. computes: layer -> the half type that it computes in, for the
    layers whose policy is a mixed one."""

    def __init__(self, network: Network, computes: Mapping[str, torch.dtype]) -> None:
        self.network, self.computes = network, dict(computes)
        self.active = False
        # (module, names of its weights, their type, what it is widened to)
        self.weights: list[tuple[nn.Module, tuple[str, ...], torch.dtype, torch.dtype | None]] = []
        for name, half in self.computes.items():
            layer = network.spec.layers[name]
            if layer.canonical_name() in REFUSED:
                raise SpecError(f"the layer cannot be trained in mixed precision: {REFUSED[layer.canonical_name()]}.",
                                where=f"model {network.spec.name!r}, layer {name!r}",
                                hint="Give it dtype: float32, or choose another precision.")
            self._prepare(network.layer(name), half)

    def _prepare(self, module: nn.Module, half: torch.dtype) -> None:
        if isinstance(module, (*NOT_CAST, *WIDE, *WIDE_FROM_HALF)) or _is_wide(module):
            module.register_forward_pre_hook(_widened, with_kwargs=True)
            module.register_forward_hook(_Narrowed(half), with_kwargs=True)
        if not isinstance(module, (*NOT_CAST, *WIDE)):
            names = tuple(module._parameters)
            if isinstance(module, READ_BUFFERS):
                names += tuple(module._buffers)
            present = tuple(name for name in names if _is_floating(getattr(module, name)))
            if present:
                wide = torch.float32 if isinstance(module, WIDE_FROM_HALF) else None
                self.weights.append((module, present, half, wide))
            for child in module.children():
                self._prepare(child, half)

    def casts_inputs(self, layer: str) -> bool:
        return not isinstance(self.network.layer(layer), NOT_CAST)

    def narrowed(self, layer: str, result: Any) -> Any:
        """What a layer put out, in the type that it computes in."""
        half = self.computes.get(layer)
        if half is None or isinstance(self.network.layer(layer), NOT_CAST):
            return result
        return _each(result, lambda x: x.to(half))

    @contextlib.contextmanager
    def half_weights(self) -> Iterator[None]:
        """Inside, the modules read half copies of their weights."""
        if self.active:
            yield
            return
        self.active = True
        flat: list[tuple[nn.RNNBase, list[Any]]] = []
        try:
            for module, names, half, wide in self.weights:
                own = vars(module)
                for name in names:
                    held = module._parameters if name in module._parameters else module._buffers
                    tensor = held[name]
                    assert tensor is not None
                    copy = tensor.to(half)
                    # Python looks here before it asks the module for its parameter of that name.
                    own[name] = copy if wide is None else copy.to(wide)
                if isinstance(module, nn.RNNBase):
                    flat.append((module, module._flat_weights))
                    own["_flat_weights"] = [getattr(module, name) for name in module._flat_weights_names]
            yield
        finally:
            for module, names, _, _ in self.weights:
                for name in names:
                    vars(module).pop(name, None)
            for recurrent, weights in flat:
                vars(recurrent)["_flat_weights"] = weights
            self.active = False


def compute_dtype_of(layer: Layer, policy: str) -> str:
    """What a layer computes in, in a network of that policy."""
    own = layer.dtype or policy
    return MIXED.get(own, own)


def output_dtype(spec: ModelSpec, reference: str, policy: str) -> torch.dtype:
    """What the tensor behind an output's reference is of: that of its layer, or what an operation makes of its
    inputs'."""
    from harness.backends.pytorch.model import DTYPES
    from harness.spec.operations.base import Operation

    name = reference.partition(":")[0]
    node = next((node for node in spec.nodes if node.name == name), None)
    if node is None:
        return DTYPES[variable_dtype(policy)]
    layer = spec.layers[node.layer]
    if not isinstance(layer, Operation):
        return DTYPES.get(compute_dtype_of(layer, policy), torch.float32)
    found = [output_dtype(spec, item, policy) for item in node.references]
    kind = found[0] if found else torch.float32
    for other in found[1:]:
        kind = torch.promote_types(kind, other)
    return kind


def as_computed(plan: Plan, policy: str) -> Plan:
    """The plan, its outputs of half types without their recovered logits: Keras's losses cast such an output to
    float32, and then do not know any more what it was made from (keras/src/losses/loss.py: __call__)."""
    kept = [output if output_dtype(plan.spec, output.node, policy) in (torch.float32, torch.float64)
            else replace(output, recovered=None) for output in plan.outputs]
    return plan if tuple(kept) == plan.outputs else replace(plan, outputs=tuple(kept))


def _is_floating(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()


def _is_wide(module: nn.Module) -> bool:
    """TensorFlow enlarges images in float32 (image_ops.resize; what repeats pixels computes nothing). PyTorch has no
    means of volumes in half types on a CPU."""
    if isinstance(module, Pooling):
        return not module.maximum and len(module.windows.kernel) == 3
    return isinstance(module, UpSampling) and module.mode != "nearest"


def _each(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A tensor, or what holds tensors, with every floating-point one changed."""
    if isinstance(value, torch.Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(_each(item, change) for item in value)
    return value


def _widened(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return _each(args, whole), {name: _each(value, whole) for name, value in kwargs.items()}


class _Narrowed:
    """A forward hook: the module's outputs in the half type. An Embedding's products with its rows stay as they are
    (reversible_embedding.py: call)."""

    def __init__(self, half: torch.dtype) -> None:
        self.half = half

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        return result if kwargs.get("reverse") else _each(result, lambda x: x.to(self.half))
