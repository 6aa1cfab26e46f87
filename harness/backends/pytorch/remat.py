"""Rematerialization in PyTorch: torch.utils.checkpoint around the rows of calls that spec/remat.py names.

The second computation has to be the first one again, and to leave nothing behind: it reads the state that the first one
found (moving averages, half copies of weights, masks), draws the tape's bits by the same keys, and writes to copies.
What it starts from stays unwritten: nothing overwrites in place what enters a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from harness.backends.probes import PROBED, as_probed, probed_activation
from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.core import Activation
from harness.backends.pytorch.masks import MaskBook
from harness.backends.pytorch.model import Network, Step, build_network
from harness.backends.pytorch.weights import weight_maps
from harness.errors import SpecError
from harness.spec.execution import Execution
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec, references_in
from harness.spec.remat import WHERE, Remat, recomputed_activations, recomputed_calls

Values = dict[str, torch.Tensor]


def rematerialize(network: Network, execution: Execution, *, stochastic: bool) -> None:
    """Lets a network compute again what the execution says. stochastic: whether it draws. Raises SpecError for a user's
    own module, whose calls nobody knows."""
    if execution.remat is None:
        return
    if not isinstance(network, Network):
        raise SpecError("remat is of the layers of a spec, and this trains a module of your own.", where=WHERE,
                        hint="Leave remat out, or write torch.utils.checkpoint into the module.")
    network.remat = Rematerialization(network, execution.remat, tape=execution.uses_tape or not stochastic)


def recomputes(execution: Execution) -> bool:
    """Whether a gradient really computes a layer a second time that is built as the session's are."""
    if execution.remat is None:
        return False
    spec, weights = probed_activation()
    network = build_network(spec, weights, execution.dtype)
    rematerialize(network, as_probed(execution), stochastic=False)
    with torch.enable_grad():
        network(torch.ones((1, PROBED), dtype=next(network.parameters()).dtype)).sum().backward()
    return network.remat is not None and network.remat.recomputed > 0


@dataclass(frozen=True)
class Row:
    """Calls that follow each other. recomputed: together, in the backward pass. reads: the tensors from before that
    they read; gives: those of theirs that are read after them; done: those that nothing reads any more then."""

    steps: tuple[Step, ...]
    recomputed: bool
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    done: tuple[str, ...]


class Rematerialization:
    """What a network computes twice. tape: whether random bits come from the tape; else torch's generator is set back
    for the second time. recomputed: how many rows and activations were, so far."""

    def __init__(self, network: Network, remat: Remat, tape: bool) -> None:
        self.network, self.tape, self.recomputed = network, tape, 0
        self.again = False  # whether a row is being recomputed
        spec = network.spec
        self.rows = _rows(spec, network.steps, recomputed_calls(spec, remat))
        self.by_rows = any(row.recomputed for row in self.rows)
        kept = {name for row in self.rows if row.recomputed for name in row.reads}
        for step in network.steps:
            _write_over_none(step.module, spec.layers[step.layer],
                             [index for index, name in enumerate(step.inputs) if name in kept])
        for name in recomputed_activations(spec, remat):
            module = network.layer(name)
            # As it is without writing over its input, which is what it is recomputed from.
            function = activation_function(spec.layers[name].activation)  # type: ignore[attr-defined]
            if function is not None and callable(module.activation):
                module.activation = RecomputedActivation(function, self)

    def run(
        self, inputs: Sequence[torch.Tensor], bare: frozenset[str],
    ) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor | None, ...]]:
        """Network.run, where a gradient is asked for."""
        network = self.network
        values: Values = dict(zip(network.input_names, inputs, strict=True))
        masks = network.mask_book()
        for row in self.rows:
            if row.recomputed:
                self._recomputed(row, values, masks, bare)
            else:
                for step in row.steps:
                    network._call(step, values, masks, step.output in bare)
            for name in row.done:
                values.pop(name, None)
        outputs = network.spec.outputs
        return tuple(values[name] for name in outputs), tuple(masks.live.get(name) for name in outputs)

    def _recomputed(self, row: Row, values: Values, masks: MaskBook, bare: frozenset[str]) -> None:
        network, found = self.network, Found(self.network, row)
        before = _copy(network.mask_book(), masks)
        first = True

        def play(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
            nonlocal first
            again, first = not first, False
            inner = dict(zip(row.reads, given, strict=True))
            book = _copy(network.mask_book(), before) if again else masks
            with self._second_time(found) if again else contextlib.nullcontext():
                for step in row.steps:
                    network._call(step, inner, book, step.output in bare)
                    for name in step.last_reads:
                        inner.pop(name, None)
            return tuple(inner[name] for name in row.gives)

        made = checkpoint(play, *(values[name] for name in row.reads), use_reentrant=False,
                          preserve_rng_state=not self.tape)
        values.update(zip(row.gives, made, strict=True))

    @contextlib.contextmanager
    def _second_time(self, found: Found) -> Iterator[None]:
        self.recomputed += 1
        outer, self.again = self.again, True
        try:
            with found.restored():
                yield
        finally:
            self.again = outer


class Found:
    """The state that a row finds: what its layers write to, and the half copies of its weights in mixed precision."""

    def __init__(self, network: Network, row: Row) -> None:
        layers = dict.fromkeys(step.layer for step in row.steps)
        self.written = [(owner, name, getattr(owner, name).clone())
                        for layer in layers for owner, name in _states(network.spec, layer, network.layer(layer))]
        modules = {id(module) for layer in layers for module in network.layer(layer).modules()}
        mixed = network.mixed.weights if network.mixed is not None else []
        self.halves = [
            (module, {name: vars(module)[name] for name in (*names, "_flat_weights") if name in vars(module)})
            for module, names, _, _ in mixed if id(module) in modules]

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Inside, the modules find it again; what they write is lost."""
        now = [(owner, name, owner._buffers[name]) for owner, name, _ in self.written]
        flat = [(module, vars(module).get("_flat_weights")) for module, _ in self.halves]
        for owner, name, value in self.written:
            owner._buffers[name] = value.clone()
        for module, halves in self.halves:
            vars(module).update(halves)
        try:
            yield
        finally:
            for owner, name, buffer in now:
                owner._buffers[name] = buffer
            for (module, halves), (_, weights) in zip(self.halves, flat, strict=True):
                for name in halves:
                    del vars(module)[name]
                if weights is not None:
                    vars(module)["_flat_weights"] = weights


class RecomputedActivation:
    """An activation function whose result is not kept."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], owner: Rematerialization) -> None:
        self.function, self.owner = function, owner

    def __repr__(self) -> str:
        return f"recomputed {self.function}"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled() or not x.requires_grad:
            return self.function(x)
        first = True

        def play(x: torch.Tensor) -> torch.Tensor:
            nonlocal first
            self.owner.recomputed += not first
            first = False
            return self.function(x)

        made: torch.Tensor = checkpoint(play, x, use_reentrant=False, preserve_rng_state=False)
        return made


def _states(spec: ModelSpec, layer: str, module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """(module, name) of the buffers that hold a layer's weights without a gradient."""
    buffers, maps = dict(module.named_buffers()), weight_maps(module)
    for weight in spec.layer_weights(layer):
        for path in () if weight.trainable else maps[weight.role].tensors:
            if path in buffers:
                owner, _, name = path.rpartition(".")
                yield module.get_submodule(owner), name


def _rows(spec: ModelSpec, steps: Sequence[Step], recomputed: Sequence[Sequence[str]]) -> tuple[Row, ...]:
    """All calls, in their order."""
    place = {call: index for index, calls in enumerate(recomputed) for call in calls}
    groups: list[tuple[int | None, list[Step]]] = []
    for step in steps:
        index = place.get(step.output)
        if groups and groups[-1][0] == index:
            groups[-1][1].append(step)
        else:
            groups.append((index, [step]))
    rows, wanted = [], set(spec.outputs)
    for index, calls in reversed(groups):
        made = [name for call in calls for name in _made(spec, call)]
        read = dict.fromkeys(name for call in calls for name in _read(call))
        reads = tuple(name for name in read if name not in made)
        gives = tuple(name for name in made if name in wanted)
        done = tuple(name for name in (*reads, *made) if name not in wanted)
        rows.append(Row(tuple(calls), index is not None, reads, gives, done))
        wanted |= set(reads)
    return tuple(reversed(rows))


def _read(step: Step) -> tuple[str, ...]:
    return (*step.inputs, *(name for value in step.arguments.values() for name in references_in(value)))


def _made(spec: ModelSpec, step: Step) -> list[str]:
    names = [step.output]
    while f"{step.output}:{len(names)}" in spec.tensors:
        names.append(f"{step.output}:{len(names)}")
    return names


def _write_over_none(module: nn.Module, layer: Layer, inputs: Sequence[int]) -> None:
    """Takes from a module the leave to write over one of these inputs where a gradient is asked for
    (overwriting.py)."""
    over: Any = getattr(module, "inplace_training", None)
    if isinstance(module, Activation) and 0 in inputs:
        module.activation = activation_function(layer.activation, inplace=True)  # type: ignore[attr-defined]
    elif isinstance(over, bool):
        module.inplace_training = over and 0 not in inputs  # type: ignore[assignment]
    elif over in inputs:
        module.inplace_training = None  # type: ignore[assignment]


def _copy(book: MaskBook, of: MaskBook) -> MaskBook:
    book.recorded, book.live = dict(of.recorded), dict(of.live)
    return book
