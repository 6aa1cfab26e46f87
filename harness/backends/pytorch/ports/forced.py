"""One pass through a user's module, cut at every module that holds a Keras layer.

Each such module is given Keras's own input and its result is replaced by Keras's own output. So the modules, and the
code between them, are each looked at by themselves: nothing that one gets wrong reaches the next. The same holds for
the gradients, which flow back from Keras's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.ports.asking import Seen
from harness.backends.pytorch.ports.description import run
from harness.backends.pytorch.ports.layout import Adapter
from harness.backends.pytorch.ports.network import PortNetwork, last_activation
from harness.backends.pytorch.weights import tensor_at
from harness.errors import SpecError

Arrays = dict[str, np.ndarray]


class CallLike(Protocol):
    """certify/ports/parts.py: Call."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...


class PartLike(Protocol):
    """certify/ports/parts.py: Part."""

    @property
    def module(self) -> str: ...
    @property
    def calls(self) -> Sequence[CallLike]: ...
    @property
    def flatten(self) -> tuple[int, ...] | None: ...
    @property
    def sequences(self) -> bool: ...


@dataclass
class CutPass:
    """teacher: "forward REFERENCE", "gradient REFERENCE", "input gradient CALL INDEX", "inference REFERENCE"; the
    model's inputs among the references. recovered: outputs whose loss starts before their activation."""

    network: PortNetwork
    parts: Sequence[PartLike]
    teacher: Mapping[str, np.ndarray]
    dtype: torch.dtype = torch.float64
    recovered: frozenset[str] = frozenset()
    seen: dict[str, Seen] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def inference(self) -> Arrays:
        """"arrival CALL INDEX" with "expected arrival CALL INDEX", "output REFERENCE", "result REFERENCE"."""
        self.network.net.eval()
        with torch.no_grad():
            self._play("inference")
        return self._arrays()

    def training(self) -> Arrays:
        """The same in training mode; "input gradient CALL INDEX" of the modules, "gap gradient REFERENCE" of what is
        between them, "weight gradient WEIGHT", "state WEIGHT"."""
        network = self.network
        network.net.train()
        before = network.get_weights()
        buffers = {name: tensor.clone() for name, tensor in network.net.named_buffers()}
        for parameter in (*network.parameters(), *(p for view in network.views.values() for p in view.parameters())):
            parameter.grad = None
        self._play("forward")
        self._backward()
        found = {**self._arrays(), **self._gradients()}
        trained = {weight.name for weight in network.spec.weights if weight.trainable}
        found |= {f"state {name}": array for name, array in network.get_weights().items() if name not in trained}
        network.set_weights(before)
        for name, tensor in network.net.named_buffers():
            tensor.data.copy_(buffers[name])
        return found

    # -- forward

    def _play(self, kind: str) -> None:
        self.kind, self.counts = kind, dict.fromkeys(range(len(self.parts)), 0)
        self.arrivals: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.own: dict[str, torch.Tensor] = {}
        self.fed: dict[str, torch.Tensor] = {}
        self.leaves: dict[str, list[torch.Tensor]] = {}
        handles = []
        for index, part in enumerate(self.parts):
            module = self.network.net.get_submodule(part.module)
            adapter = Adapter(module, part.flatten, part.sequences)
            before, after = self._hooks(index, part, adapter)
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
        try:
            inputs = [self._leaf(name, self._tensor(f"{kind} {name}")) for name in self.network.input_names]
            self.results = self._results(self.network.taken_back(
                run(self.network.net, self.network.handed_over(inputs))))
        finally:
            for handle in handles:
                handle.remove()

    def _hooks(self, index: int, part: PartLike, adapter: Adapter) -> tuple[Any, Any]:
        plain = adapter

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            adapter = plain
            if self.counts[index] >= len(part.calls):
                raise SpecError(f"{part.module} is called more often in {self.kind} than in a plain pass.")
            call = part.calls[self.counts[index]]
            given, named = list(args), dict(kwargs)
            places = adapter.positions(args, kwargs, len(call.inputs))
            references = [*call.inputs, *call.inputs[1:2]][: len(places)]  # attention's key is its value
            for number, (place, reference) in enumerate(zip(places, references, strict=True)):
                value = given[place] if isinstance(place, int) else named[place]
                arrived = adapter.arrived(value)
                x = adapter.padded(self._feed(call.name, number, reference), arrived.shape)
                self.arrivals[f"{call.name} {number}"] = (arrived, x)
                if arrived.shape != x.shape == value.shape:
                    # The port feeds it in another layout than it takes: what follows is to get on all the same.
                    adapter = replace(adapter, as_is=True)
                new = adapter.into(x).to(value.dtype)
                if isinstance(place, int):
                    given[place] = new
                else:
                    named[place] = new
            self.seen[call.name] = Seen(module, adapter, tuple(given), named)
            return tuple(given), named

        def after(_module: nn.Module, _args: Any, _kwargs: Any, result: Any) -> Any:
            call = part.calls[self.counts[index]]
            self.counts[index] += 1
            adapter = self.seen[call.name].adapter
            own = adapter.outputs(result)
            for reference, value in zip(call.outputs, own, strict=False):
                self.own[reference] = value
            leaves = [self._leaf(reference, self._tensor(f"{self.kind} {reference}")) for reference in call.outputs]
            return adapter.replaced(result, leaves)

        return before, after

    def _feed(self, call: str, number: int, reference: str) -> torch.Tensor:
        x = self._tensor(f"{self.kind} {reference}")
        if x.is_floating_point() and self.kind == "forward":
            x.requires_grad_()
        self.fed[f"{call} {number}"] = x
        self.references[f"{call} {number}"] = reference
        return x

    def _leaf(self, reference: str, value: torch.Tensor) -> torch.Tensor:
        if value.is_floating_point() and self.kind == "forward":
            value.requires_grad_()
        self.leaves.setdefault(reference, []).append(value)
        return value

    def _tensor(self, name: str) -> torch.Tensor:
        tensor = torch.from_numpy(np.array(self.teacher[name]))
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _results(self, outputs: Sequence[torch.Tensor]) -> dict[str, tuple[torch.Tensor, str]]:
        """Output -> (what is compared, the reference in Keras that it is compared with)."""
        network = self.network
        if len(outputs) < len(network.spec.outputs):
            raise SpecError(f"its forward gives {len(outputs)} outputs, the Keras model has "
                            f"{len(network.spec.outputs)}.", where=f"port {type(network.net).__name__}")
        found = {}
        for reference, y in zip(network.spec.outputs, outputs, strict=False):
            before = before_activation(network, reference)
            if before is not None and reference not in network.given_as:
                given = nearest(y, {"same": self.teacher[f"{self.kind} {reference}"],
                                    "logits": self.teacher[f"{self.kind} {before}"]})
                network.given_as[reference] = given
            as_logits = before is not None and network.given_as.get(reference) == "logits"
            found[reference] = (y, before if as_logits and before is not None else reference)
        return found

    # -- backward

    def _backward(self) -> None:
        tensors: list[torch.Tensor] = []
        gradients: list[torch.Tensor] = []

        def add(tensor: torch.Tensor, name: str) -> None:
            if not tensor.requires_grad or name not in self.teacher:
                return
            gradient = self._tensor(name)
            if gradient.shape == tensor.shape:
                tensors.append(tensor)
                gradients.append(gradient)

        for place, (arrived, wanted) in self.arrivals.items():
            if arrived.shape == wanted.shape and arrived.requires_grad:
                gradient = self._tensor(f"input gradient {place}") \
                    if f"input gradient {place}" in self.teacher else torch.zeros_like(self.fed[place])
                call = place.rpartition(" ")[0]
                tensors.append(arrived)
                gradients.append(self.seen[call].adapter.padded(gradient, arrived.shape))
        for reference, value in self.own.items():
            add(value, f"gradient {reference}")
        for reference, (y, compared) in self.results.items():
            before = before_activation(self.network, reference)
            if compared == reference and reference in self.recovered and before is not None:
                add(self.network.as_wanted(reference, y, True), f"gradient {before}")
            else:
                add(y, f"gradient {compared}")
        if tensors:
            torch.autograd.backward(tensors, gradients)

    def _gradients(self) -> Arrays:
        found: Arrays = {}
        for place, x in self.fed.items():
            if not x.requires_grad:
                continue
            # What a call reads twice has one gradient, the sum, at its first place.
            call = place.rpartition(" ")[0]
            first = next(other for other, reference in self.references.items()
                         if other.rpartition(" ")[0] == call and reference == self.references[place])
            name = f"input gradient {first}"
            found[name] = found.get(name, 0.0) + _filled(x.grad, x)
        for reference, leaves in self.leaves.items():
            if leaves[0].requires_grad:
                found[f"gap gradient {reference}"] = np.sum([_filled(leaf.grad, leaf) for leaf in leaves], 0)
        for weight in self.network.spec.weights:
            if not weight.trainable:
                continue
            view = self.network.views[weight.layer]
            item = view.keras_weights[weight.role]
            pieces = tuple(_filled(tensor.grad, tensor) for tensor in (tensor_at(view, path) for path in item.tensors))
            found[f"weight gradient {weight.name}"] = np.array(item.to_keras(pieces))
        return found

    def _arrays(self) -> Arrays:
        found: Arrays = {}
        for place, (arrived, wanted) in self.arrivals.items():
            found[f"arrival {place}"], found[f"expected arrival {place}"] = _array(arrived), _array(wanted)
        found |= {f"output {reference}": _array(value) for reference, value in self.own.items()}
        for reference, (y, compared) in self.results.items():
            found[f"result {reference}"] = _array(y)
            found[f"expected result {reference}"] = np.asarray(self.teacher[f"{self.kind} {compared}"])
        return found


def before_activation(network: PortNetwork, reference: str) -> str | None:
    """The tensor that an output's softmax or sigmoid is taken of."""
    if last_activation(network.spec, reference) not in ("softmax", "sigmoid"):
        return None
    return next(node.inputs[0] for node in network.spec.nodes if node.name == reference)


def nearest(y: torch.Tensor, wanted: Mapping[str, np.ndarray]) -> str:
    """Which of the arrays an output is nearest to."""
    own = _array(y)
    far = {name: float(np.abs(own - array).max()) if own.shape == array.shape else float("inf")
           for name, array in wanted.items()}
    return min(far, key=lambda name: far[name])


def _filled(gradient: torch.Tensor | None, like: torch.Tensor) -> np.ndarray:
    return np.zeros(tuple(like.shape)) if gradient is None else _array(gradient).copy()


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
