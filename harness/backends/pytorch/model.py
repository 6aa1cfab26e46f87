"""Network: a ModelSpec as a native torch.nn.Module, its inputs and outputs in Keras's layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.layers import BUILDERS
from harness.backends.pytorch.masks import MaskBook
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import read_weight, weight_maps, write_weight
from harness.errors import SpecError
from harness.spec.layers.core import Embedding
from harness.spec.layers.registration import registered_builder
from harness.spec.model import ModelSpec, Reference
from harness.spec.order import execution_order

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
# By the number of dimensions, those of a kernel or those of the tensors it meets.
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True)
class Step:
    """One call in the forward pass. rule: the spec layer's mask rule."""

    output: str
    layer: str
    module: nn.Module
    inputs: tuple[str, ...]
    rule: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Network(nn.Module):
    """The model's layers under their own names in `layers`, called in the spec's order.

    forward(*inputs) returns a tensor, or a tuple if the model has several outputs. A layer's name may hold
    characters that torch's module names may not ("."): they are replaced there, and there only.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.module_names = _module_names(spec.first_calls)
        self.layers = nn.ModuleDict({self.module_names[name]: _build(spec, name) for name in spec.first_calls})
        self.steps = [
            Step(node.name, node.layer, self.layer(node.layer), node.inputs, spec.layers[node.layer].mask_rule,
                 dict(node.arguments))
            for node in execution_order(spec)
        ]
        self.input_names = tuple(item.name for item in spec.inputs)
        # Whole numbers become floating-point where they meet another layer than an Embedding, as in Keras: only
        # where the model has such inputs, because every call would have to look.
        self.promoted_to: torch.dtype | None = None
        self.promotes = _meets_whole_numbers(spec)
        self.chain = _chain(self)
        # Call -> the modules that draw in it and their key, where a layer that draws is called more than once.
        self.keys_of_call: dict[str, tuple[list[Keyed], torch.Tensor]] = {}
        for weight in spec.weights:
            if not weight.trainable:
                self._freeze(weight.layer, weight.role)

    def layer(self, name: str) -> nn.Module:
        """The module of a layer by the layer's name in the spec."""
        return self.layers[self.module_names[name]]

    def _freeze(self, layer: str, role: str) -> None:
        for _, parameter in self.parameters_of(layer, role):
            parameter.requires_grad_(False)

    def parameters_of(self, layer: str, role: str) -> list[tuple[str, nn.Parameter]]:
        """The parameters (not the buffers) that hold one weight, with their attribute paths."""
        module = self.layer(layer)
        own = dict(module.named_parameters())
        return [(path, own[path]) for path in weight_maps(module)[role].tensors if path in own]

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        outputs, _ = self.run(inputs, frozenset())
        return outputs[0] if len(outputs) == 1 else outputs

    def run(
        self, inputs: Sequence[torch.Tensor], before_activation: frozenset[str],
    ) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor | None, ...]]:
        """(outputs, their masks). before_activation: calls that give what comes before their activation,
        because the loss is computed from it."""
        if self.chain is not None:
            return (self._run_chain(inputs[0], self.chain, bool(before_activation)),), (None,)
        values: dict[str, torch.Tensor] = dict(zip(self.input_names, inputs, strict=True))
        masks = MaskBook()
        for step in self.steps:
            self._call(step, values, masks, step.output in before_activation)
        outputs = self.spec.outputs
        return tuple(values[name] for name in outputs), tuple(masks.live.get(name) for name in outputs)

    def _run_chain(self, x: torch.Tensor, chain: tuple[nn.Module, ...], bare: bool) -> torch.Tensor:
        for module in chain[:-1] if bare else chain:
            x = module(x)
        return chain[-1].pre_activation(x) if bare else x  # type: ignore[operator]

    def _call(
        self, step: Step, values: dict[str, torch.Tensor], masks: MaskBook, bare: bool,
    ) -> None:
        if step.output in self.keys_of_call:
            modules, key = self.keys_of_call[step.output]
            for module in modules:
                module.key = key
        feeds = [values[name] for name in step.inputs]
        if self.promotes:
            feeds = [self._promoted(x, step) for x in feeds]
        arguments = {key: _resolve(value, values) for key, value in step.arguments.items()}
        if bare:
            values[step.output] = step.module.pre_activation(*feeds)  # type: ignore[operator]
            masks.hand_on(step.output, step.inputs[0])
            return
        if step.rule != "own":
            result = step.module(*feeds, **arguments)
            if step.rule == "pass":
                masks.hand_on(step.output, step.inputs[0])
        else:
            several = len(feeds) > 1 or bool(arguments)
            result, mask = step.module(*feeds, masks=masks.seen(step.inputs, several), **arguments)
            masks.settle(step.module, step.output, step.inputs, feeds, several, mask)
        if isinstance(result, tuple):
            for index, item in enumerate(result):
                values[step.output if index == 0 else f"{step.output}:{index}"] = item
        else:
            values[step.output] = result

    def _promoted(self, x: torch.Tensor, step: Step) -> torch.Tensor:
        if x.is_floating_point() or x.dtype == torch.bool or isinstance(self.spec.layers[step.layer], Embedding):
            return x
        return x.to(self.promoted_to)

    def use_tape(self, stochastic: Sequence[str], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Lets dropout and noise read their random bits from the returned int32 [calls, 2] tensor, which the
        train step fills with the keys of the step."""
        keys = torch.zeros((len(stochastic), 2), dtype=torch.int32, device=device)
        rows: dict[str, dict[str, int]] = {}
        for row, node in enumerate(stochastic):
            rows.setdefault(node.split("@")[0], {})[node] = row
        for layer, calls in rows.items():
            drawing = [module for module in self.layer(layer).modules() if isinstance(module, Keyed)]
            for module in drawing:
                module.key = keys[next(iter(calls.values()))]
                module.use_normal_table(dtype, device)
            if len(calls) > 1:
                self.chain = None  # which does not know one call of a layer from another
                self.keys_of_call |= {call: (drawing, keys[row]) for call, row in calls.items()}
        return keys

    def get_weights(self) -> dict[str, np.ndarray]:
        """The canonical weights."""
        return {
            weight.name: read_weight(self.layer(weight.layer), weight_maps(self.layer(weight.layer))[weight.role])
            for weight in self.spec.weights
        }

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Loads canonical weights."""
        for weight in self.spec.weights:
            module = self.layer(weight.layer)
            write_weight(module, weight_maps(module)[weight.role], weights[weight.name], weight.name)


def build_network(spec: ModelSpec, weights: Mapping[str, np.ndarray], dtype: str) -> Network:
    """The network with its weights, in channels-last memory format."""
    network = Network(spec).to(DTYPES[dtype])
    network.promoted_to = DTYPES[dtype]
    network.set_weights(weights)
    # Not network.to(memory_format=...): it takes one format, for kernels over images or over volumes.
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() in CHANNELS_LAST:
            tensor.data = tensor.data.contiguous(memory_format=CHANNELS_LAST[tensor.dim()])
    return network


def _build(spec: ModelSpec, name: str) -> nn.Module:
    layer = spec.layers[name]
    builder = BUILDERS.get(type(layer)) or registered_builder(type(layer), "pytorch")
    if builder is None:
        raise SpecError(f"the PyTorch backend has no {type(layer).__name__} layer.",
                        where=f"model {spec.name!r}, layer {name!r}")
    module = builder(layer, *spec.input_shapes(spec.first_calls[name]))
    declared = {weight.role for weight in spec.layer_weights(name)}
    # A class may list the maps of all its possible weights; only those that this layer has are kept.
    module.keras_weights = {role: item for role, item in weight_maps(module).items() if role in declared}  # type: ignore[assignment]
    if set(weight_maps(module)) != declared:
        raise SpecError(f"the PyTorch module of {type(layer).__name__} maps the weights {sorted(weight_maps(module))}, "
                        f"the spec declares {sorted(declared)}.", where=f"model {spec.name!r}, layer {name!r}")
    return module


def _meets_whole_numbers(spec: ModelSpec) -> bool:
    whole = {item.name for item in spec.inputs if item.dtype.startswith(("int", "uint"))}
    return any(whole & set(node.inputs) and not isinstance(spec.layers[node.layer], Embedding) for node in spec.nodes)


def _chain(network: Network) -> tuple[nn.Module, ...] | None:
    """The modules in a row if the model is a plain chain without masks: then forward is a bare loop."""
    before = network.input_names[0] if len(network.input_names) == 1 else None
    if network.promotes:
        return None
    for step in network.steps:
        if step.inputs != (before,) or step.rule == "own" or step.arguments:
            return None
        before = step.output
    return tuple(step.module for step in network.steps) if network.spec.outputs == (before,) else None


def _resolve(value: Any, values: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, Reference):
        return values[value.to]
    if isinstance(value, (list, tuple)):
        return [_resolve(item, values) for item in value]
    return value


def _module_names(names: Iterable[str]) -> dict[str, str]:
    """Each layer's name as torch allows it: without ".", and no method of ModuleDict ("keys", "values")."""
    given: dict[str, str] = {}
    empty = nn.ModuleDict()
    for name in names:
        allowed = name.replace(".", "_")
        while allowed in given.values() or hasattr(empty, allowed):
            allowed += "_"
        given[name] = allowed
    return given
