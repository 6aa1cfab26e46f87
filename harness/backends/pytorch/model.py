"""Network: a ModelSpec as a native torch.nn.Module, its inputs and outputs in Keras's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from harness.spec.model import ModelSpec, Reference

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
        self.layers = nn.ModuleDict({_module_name(name): _build(spec, name) for name in spec.first_calls})
        self.steps = [
            Step(node.name, node.layer, self.layer(node.layer), node.inputs, spec.layers[node.layer].mask_rule,
                 dict(node.arguments))
            for node in spec.nodes
        ]
        self.input_names = tuple(item.name for item in spec.inputs)
        self.chain = _chain(self)
        for weight in spec.weights:
            if not weight.trainable:
                self._freeze(weight.layer, weight.role)

    def layer(self, name: str) -> nn.Module:
        """The module of a layer by the layer's name in the spec."""
        return self.layers[_module_name(name)]

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
        feeds = [values[name] for name in step.inputs]
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

    def use_tape(self, stochastic: Sequence[str], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Lets dropout and noise read their random bits from the returned int32 [calls, 2] tensor, which the
        train step fills with the keys of the step."""
        keys = torch.zeros((len(stochastic), 2), dtype=torch.int32, device=device)
        rows: dict[str, list[int]] = {}
        for row, node in enumerate(stochastic):
            rows.setdefault(node.split("@")[0], []).append(row)
        for layer, own in rows.items():
            if len(own) > 1:
                raise SpecError(f"the stochastic layer {layer!r} is called {len(own)} times; the PyTorch backend "
                                "draws from the tape once per layer.", hint="Use a layer per call.")
            for module in self.layer(layer).modules():
                if isinstance(module, Keyed):
                    module.key = keys[own[0]]
                    module.use_normal_table(dtype, device)
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
    network.set_weights(weights)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _build(spec: ModelSpec, name: str) -> nn.Module:
    layer = spec.layers[name]
    if type(layer) not in BUILDERS:
        raise SpecError(f"the PyTorch backend has no {type(layer).__name__} layer.",
                        where=f"model {spec.name!r}, layer {name!r}")
    module = BUILDERS[type(layer)](layer, *spec.input_shapes(spec.first_calls[name]))
    declared = {weight.role for weight in spec.layer_weights(name)}
    # A class may list the maps of all its possible weights; only those that this layer has are kept.
    module.keras_weights = {role: item for role, item in weight_maps(module).items() if role in declared}  # type: ignore[assignment]
    assert set(weight_maps(module)) == declared, (name, declared, set(weight_maps(module)))
    return module


def _chain(network: Network) -> tuple[nn.Module, ...] | None:
    """The modules in a row if the model is a plain chain without masks: then forward is a bare loop."""
    before = network.input_names[0] if len(network.input_names) == 1 else None
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


def _module_name(name: str) -> str:
    return name.replace(".", "_")
