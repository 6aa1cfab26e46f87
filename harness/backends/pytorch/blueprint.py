"""A network laid open for an exporter: how every module was made, and what each call of one pass is fed.

Masks and the conversion of whole numbers are decided by the tensors that pass (model.py, masks.py). Which call sees
which mask depends on the model alone, though, so one pass over zeros tells it for good.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.masks import MaskBook, Masks
from harness.backends.pytorch.model import CHANNELS_LAST, Network, Step, build_network
from harness.backends.pytorch.recording import Constructions, recording
from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.model import ModelSpec

# Sizes tried for dimensions that the spec leaves open.
OPEN_SIZES = (8, 32, 64, 128, 224)


@dataclass(frozen=True)
class MaskNote:
    """One call of `compute_mask`: the masks it was given and those it told, as numbers; -1 for none."""

    given: tuple[int, ...]
    told: tuple[int, ...]
    several: bool


@dataclass(frozen=True)
class CallNote:
    """What the pass showed of one call. seen: the masks handed to the module, None if there are none. converted: the
    inputs whose type was changed, and to which ("torch.float16"; "" for that of the model). masks: how the output's
    masks were found."""

    seen: tuple[int, ...] | None = None
    converted: Mapping[int, str] = field(default_factory=dict)
    masks: tuple[MaskNote, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """network: with its weights, in inference mode. constructions: how its modules were made. notes: call -> what
    the pass over zeros showed, for the calls where there is anything to say. sizes: of the open dimensions."""

    network: Network
    constructions: Constructions
    notes: Mapping[str, CallNote]
    size: int

    @property
    def spec(self) -> ModelSpec:
        return self.network.spec

    def example_shape(self, shape: Shape) -> tuple[int, ...]:
        """A shape for one example of an input: open dimensions as in the pass over zeros."""
        return (1, *(self.size if size is None else size for size in shape[1:]))

    def frozen(self, module: nn.Module, name: str) -> list[str]:
        """What no optimizer touches, as Python finds it from a module's name: whole modules where nothing in them
        trains ("conv", "reader.cells[0]"), or parameters ("norm.scale")."""
        trains = [parameter.requires_grad for parameter in module.parameters()]
        if not trains or all(trains):
            return []
        if not any(trains):
            return [name]
        own = [f"{name}.{path}" for path, parameter in module.named_parameters(recurse=False)
               if not parameter.requires_grad]
        return own + [place for path, child in module.named_children()
                      for place in self.frozen(child, f"{name}[{path}]" if path.isdigit() else f"{name}.{path}")]

    @property
    def dtype(self) -> str:
        """The model's floating-point type, as Python names it: "torch.float32"."""
        return str(self.network.promoted_to)

    @property
    def own_dtypes(self) -> dict[str, str]:
        """Layer -> its type, where that is another than the model's."""
        return {layer: str(own) for layer, own in self.network.own_dtypes.items()}

    def state(self, attributes: Mapping[str, str]) -> dict[str, torch.Tensor]:
        """The network's tensors by the names that they have in a module with other names for its layers.
        attributes: layer -> name there."""
        return {f"{attributes[layer]}.{path}": tensor for layer in self.network.module_names
                for path, tensor in self.network.layer(layer).state_dict().items()}

    def memory_formats(self) -> set[int]:
        """The numbers of dimensions of the tensors that lie channels last in memory."""
        return {tensor.dim() for tensor in (*self.network.parameters(), *self.network.buffers())} & set(CHANNELS_LAST)

    @staticmethod
    def is_attribute(name: str) -> bool:
        """Whether every module has an attribute of this name."""
        return hasattr(nn.Module(), name)


def draw_blueprint(spec: ModelSpec, weights: Mapping[str, np.ndarray], dtype: str) -> Blueprint:
    """Builds the network and looks at it. Raises SpecError for inputs that are no numbers, and if no pass over zeros
    succeeds."""
    for item in spec.inputs:
        if not isinstance(getattr(torch, item.dtype, None), torch.dtype):
            raise SpecError(f"PyTorch has no tensors of {item.dtype!r}.",
                            where=f"model {spec.name!r}, input {item.name!r}",
                            hint="Leave out the layers in front of the first numbers, and do their work on the data.")
    with recording() as constructions:
        network = build_network(spec, weights, dtype)
    network.eval()
    open_ = any(size is None for item in spec.inputs for size in item.shape[1:])
    size = OPEN_SIZES[0]
    notes: dict[str, CallNote] = {}
    if open_ or network.promotes or network.masked:
        size, notes = _look(network, OPEN_SIZES if open_ else OPEN_SIZES[:1])
    return Blueprint(network, constructions, notes, size)


def _look(network: Network, sizes: Sequence[int]) -> tuple[int, dict[str, CallNote]]:
    problems = []
    for size in sizes:
        looking = _Looking(network)
        try:
            with torch.no_grad():
                looking.run([_zeros(item.shape, item.dtype, size, network) for item in network.spec.inputs])
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            problems.append(f"{size}: {error}")
            continue
        return size, looking.notes
    raise SpecError("the model does not run on zeros, which an export needs to see where its masks go.",
                    where=f"model {network.spec.name!r}", hint="; ".join(problems))


def _zeros(shape: Shape, dtype: str, size: int, network: Network) -> torch.Tensor:
    kind = getattr(torch, dtype) if not dtype.startswith("float") else network.promoted_to or torch.float32
    return torch.zeros((1, *(size if given is None else given for given in shape[1:])), dtype=kind)


class _Looking:
    """Runs a network once and notes what its calls are fed."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.notes: dict[str, CallNote] = {}
        self._numbers: dict[int, tuple[int, torch.Tensor]] = {}
        self._count = itertools.count()
        # Of the call that runs: the masks it was handed, and (given, told, whether a tuple) of each word on its own.
        self.seen: Masks | None = None
        self.told: list[tuple[Masks, Masks, bool]] = []

    def run(self, inputs: Sequence[torch.Tensor]) -> None:
        network, looking = self.network, self

        class Book(MaskBook):
            """Notes the masks that are handed out and told."""

            def seen(self, inputs: Sequence[str], several: bool) -> Masks | None:
                looking.seen = super().seen(inputs, several)
                return looking.seen

            def told(self, module: nn.Module, feeds: Sequence[torch.Tensor], masks: Masks) -> Any:
                mask = super().told(module, feeds, masks)
                looking.told.append((masks, mask if isinstance(mask, tuple) else (mask,), isinstance(mask, tuple)))
                return mask

        network.mask_book = Book
        call = network._call
        network._call = self._noted(call)  # type: ignore[method-assign]
        try:
            network.run(inputs, frozenset())
        finally:
            del network._call, network.mask_book

    def _noted(self, call: Any) -> Any:
        """`Network._call`, with a note of what happened in it."""

        def noted(step: Step, values: dict[str, torch.Tensor], masks: MaskBook, bare: bool) -> None:
            self.seen, self.told = None, []
            own = "" if step.layer not in self.network.own_dtypes else str(self.network.own_dtypes[step.layer])
            converted = {
                index: own for index, name in enumerate(step.inputs)
                if self.network.promotes and self.network._promoted(values[name], step) is not values[name]}
            call(step, values, masks, bare)
            notes = tuple(MaskNote(self._numbered(given), self._numbered(told), many)
                          for given, told, many in self.told)
            told_any = any(number >= 0 for note in notes for number in note.told)
            if self.seen is not None or converted or told_any:
                seen = None if self.seen is None else self._numbered(self.seen)
                self.notes[step.output] = CallNote(seen, converted, notes)

        return noted

    def _numbered(self, masks: Masks) -> tuple[int, ...]:
        numbers = []
        for mask in masks:
            if mask is None:
                numbers.append(-1)
                continue
            if id(mask) not in self._numbers:
                self._numbers[id(mask)] = (next(self._count), mask)
            numbers.append(self._numbers[id(mask)][0])
        return tuple(numbers)
