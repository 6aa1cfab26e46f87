"""Network: a ModelSpec as a native torch.nn.Module, its inputs and outputs in Keras's layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.building import WithoutFirstValues, build_module, module_names
from harness.backends.pytorch.masks import MaskBook, makes_masks
from harness.backends.pytorch.mixed_precision import MixedPrecision, is_mixed, variable_dtype
from harness.backends.pytorch.overwriting import overwriting_layers
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import read_weight, weight_maps, write_weight
from harness.errors import SpecError
from harness.spec.execution import MIXED
from harness.spec.layers.base import Layer
from harness.spec.layers.core import Embedding
from harness.spec.model import ModelSpec, Node, Reference
from harness.spec.operations.base import Operation
from harness.spec.operations.inference import meets_other_types
from harness.spec.order import execution_order

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
# By the number of dimensions, those of a kernel or those of the tensors it meets.
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True)
class Step:
    """One call in the forward pass. rule: the spec layer's mask rule. last_reads: the tensors that no later call
    reads: they are let go, so that their memory is used again."""

    output: str
    layer: str
    module: nn.Module
    inputs: tuple[str, ...]
    rule: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    last_reads: tuple[str, ...] = ()


class Network(nn.Module):
    """The model's layers under their own names in `layers`, called in the spec's order.

    forward(*inputs) returns a tensor, or a tuple if the model has several outputs. A layer's name may hold
    characters that torch's module names may not ("."): they are replaced there, and there only. dtype: of weights and
    activations, or one of Keras's mixed policies.
    """

    mask_book: type[MaskBook] = MaskBook

    def __init__(self, spec: ModelSpec, dtype: str | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.module_names = module_names(spec.first_calls)
        order = execution_order(spec)
        last_reads = _last_reads(order, spec.outputs)
        self.overwriting = overwriting_layers(spec, order, last_reads)
        self.layers = nn.ModuleDict({
            self.module_names[name]: build_module(spec, name, self.overwriting.get(name)) for name in spec.first_calls})
        self.steps = [
            Step(node.name, node.layer, self.layer(node.layer), node.inputs,
                 spec.layers[node.layer].call_mask_rule(node.arguments),
                 {} if isinstance(spec.layers[node.layer], Operation) else dict(node.arguments), last)
            for node, last in zip(order, last_reads, strict=True)
        ]
        self.input_names = tuple(item.name for item in spec.inputs)
        # Whole numbers become floating-point where they meet another layer than an Embedding, as in Keras: only
        # where the model has such inputs, because every call would have to look.
        self.promoted_to = DTYPES[MIXED.get(dtype, dtype)] if dtype else None
        # Layers that compute in another dtype than the model, to which their inputs are cast, as Keras casts them.
        self.own_dtypes = _own_dtypes(spec, dtype)
        halves = _mixed_layers(spec, dtype)
        self.mixed = MixedPrecision(self, halves) if halves else None
        self.promotes = (self.mixed is not None or _meets_whole_numbers(spec) or bool(self.own_dtypes)
                         or meets_other_types(spec))
        self.masked = makes_masks(spec)  # whether there is anything to keep book of
        self.chain = _chain(self)
        # What is computed twice (remat.py); a session sets it.
        self.remat: Any = None
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
        if self.mixed is not None and not self.mixed.active:
            with self.mixed.half_weights():
                return self.run(inputs, before_activation)
        if self.remat is not None and self.remat.by_rows and self.training and torch.is_grad_enabled():
            return self.remat.run(inputs, before_activation)  # type: ignore[no-any-return]
        if self.chain is not None:
            return (self._run_chain(inputs[0], self.chain, bool(before_activation)),), (None,)
        values: dict[str, torch.Tensor] = dict(zip(self.input_names, inputs, strict=True))
        masks = self.mask_book()
        for step in self.steps:
            self._call(step, values, masks, step.output in before_activation)
            for name in step.last_reads:
                del values[name]
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
        arguments = {key: _resolve(value, values) for key, value in step.arguments.items()} if step.arguments else {}
        if arguments and self.mixed is not None:
            arguments = {key: self._promoted_each(value, step) for key, value in arguments.items()}
        if bare:
            values[step.output] = step.module.pre_activation(*feeds)  # type: ignore[operator]
            masks.hand_on(step.output, step.inputs[0])
            return
        if step.rule != "own" or not self.masked:
            result = step.module(*feeds, **arguments)
            if step.rule == "pass" and self.masked:
                masks.hand_on(step.output, step.inputs[0])
        else:
            several = len(feeds) > 1 or bool(arguments)
            seen = masks.seen(step.inputs, several)
            result = step.module(*feeds, **({} if seen is None else {"masks": seen}), **arguments)
            masks.settle(step.module, step.output, step.inputs, feeds, several)
        if self.mixed is not None:
            result = self.mixed.narrowed(step.layer, result)
        if isinstance(result, tuple):
            for index, item in enumerate(result):
                values[step.output if index == 0 else f"{step.output}:{index}"] = item
        else:
            values[step.output] = result

    def _promoted(self, x: torch.Tensor, step: Step) -> torch.Tensor:
        layer = self.spec.layers[step.layer]
        if isinstance(layer, Operation) or (x.dtype == self.promoted_to and not self.own_dtypes):
            return x
        if not x.is_floating_point() and (x.dtype == torch.bool or isinstance(layer, Embedding)):
            return x
        if self.mixed is not None and x.is_floating_point() and not self.mixed.casts_inputs(step.layer):
            return x
        return x.to(self.own_dtypes.get(step.layer, self.promoted_to))

    def _promoted_each(self, value: Any, step: Step) -> Any:
        """An argument of a call: a tensor, several, or a plain value. Only floating-point ones are cast."""
        if isinstance(value, torch.Tensor):
            return self._promoted(value, step) if value.is_floating_point() else value
        return [self._promoted_each(item, step) for item in value] if isinstance(value, list) else value

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
    with WithoutFirstValues():
        network = Network(spec, dtype).to(DTYPES[variable_dtype(dtype)])
    for name in network.own_dtypes:
        network.layer(name).to(DTYPES[variable_dtype(spec.layers[name].dtype or dtype)])
    network.set_weights(weights)
    # Not network.to(memory_format=...): it takes one format, for kernels over images or over volumes.
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() in CHANNELS_LAST:
            tensor.data = tensor.data.contiguous(memory_format=CHANNELS_LAST[tensor.dim()])
    return network


def _own_dtypes(spec: ModelSpec, dtype: str | None) -> dict[str, torch.dtype]:
    """Layer -> what it computes in, where that is not the model's."""
    found = {}
    for name in spec.first_calls:
        own = spec.layers[name].dtype
        if own is None or own == dtype or isinstance(spec.layers[name], Operation):
            continue
        if own not in DTYPES and not is_mixed(own):
            raise SpecError(f"the PyTorch backend has no dtype {own!r} of a single layer.",
                            where=f"model {spec.name!r}, layer {name!r}",
                            hint=f"Use one of {', '.join((*DTYPES, *MIXED))}, or choose the precision of the whole "
                                 "run.")
        found[name] = DTYPES[MIXED.get(own, own)]
    return found


def _mixed_layers(spec: ModelSpec, dtype: str | None) -> dict[str, torch.dtype]:
    """Layer -> the half type that it computes in with weights of float32."""
    policies = {name: spec.layers[name].dtype or dtype for name in spec.first_calls
                if not isinstance(spec.layers[name], Operation)}
    return {name: DTYPES[MIXED[policy]] for name, policy in policies.items() if policy in MIXED}


def _meets_whole_numbers(spec: ModelSpec) -> bool:
    whole = {item.name for item in spec.inputs if item.dtype.startswith(("int", "uint"))}
    whole |= {node.name for node in spec.nodes if getattr(spec.layers[node.layer], "whole_number_outputs", False)}
    return any(whole & set(node.inputs) and not _takes_whole_numbers(spec.layers[node.layer]) for node in spec.nodes)


def _takes_whole_numbers(layer: Layer) -> bool:
    return isinstance(layer, (Embedding, Operation)) or getattr(layer, "takes_whole_numbers", False)


def _last_reads(order: Sequence[Node], outputs: Iterable[str]) -> list[tuple[str, ...]]:
    """For each call the tensors that it is the last to read, the model's outputs aside."""
    read: set[str] = set(outputs)
    found: list[tuple[str, ...]] = []
    for node in reversed(order):
        found.append(tuple(dict.fromkeys(name for name in node.references if name not in read)))
        read.update(node.references)
    return found[::-1]


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
