"""A user's hand-written module in the place of a Network: same inputs, outputs and weights, by a mapping."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from harness.backends.pytorch.activations import ACTIVATIONS
from harness.backends.pytorch.ports.description import accepts, layout_of, run
from harness.backends.pytorch.weights import WeightMap, read_weight, tensor_at, write_weight
from harness.errors import SpecError, did_you_mean
from harness.spec.layers.core import Embedding
from harness.spec.model import ModelSpec


class Place(Protocol):
    """What a mapping says of one weight (certify/mapping.py: Entry)."""

    @property
    def weight(self) -> str: ...
    @property
    def pieces(self) -> Sequence[Any]: ...
    @property
    def transform(self) -> Any: ...


def load_object(name: str) -> Any:
    """The object that "package.module:name" or "file.py:name" stands for. Raises SpecError."""
    module, _, attribute = name.rpartition(":")
    if not module or not attribute:
        raise SpecError(f"cannot read {name!r}.", hint="Write package.module:function or file.py:function.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if module.endswith(".py"):
        path = Path(module)
        if not path.is_file():
            raise SpecError(f"there is no file {module}.")
        specification = importlib.util.spec_from_file_location(f"port_{path.stem}", path)
        assert specification is not None
        assert specification.loader is not None
        loaded = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = loaded
        specification.loader.exec_module(loaded)
    else:
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise SpecError(f"cannot import {module!r}: {error}.",
                            hint="It is looked for from the current folder.") from None
    if not hasattr(loaded, attribute):
        public = [item for item in vars(loaded) if not item.startswith("_")]
        raise SpecError(f"{module} has no {attribute!r}.", hint=did_you_mean(attribute, public))
    return getattr(loaded, attribute)


def build_net(name: str) -> nn.Module:
    """The user's module: what the function returns, or the class makes without arguments."""
    found = load_object(name)
    net = found if isinstance(found, nn.Module) else found()
    if not isinstance(net, nn.Module):
        raise SpecError(f"{name} gives {type(net).__name__}, not a torch.nn.Module.")
    return net


class LayerView(nn.Module):
    """One Keras layer's weights as they stand in the port."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.keras_weights: dict[str, WeightMap] = {}
        self.slices: dict[str, tuple[torch.Tensor, tuple[int, int]]] = {}

    def add(self, role: str, place: Place) -> None:
        """Maps a weight. A slice of a tensor becomes a parameter of its own, in the same memory."""
        paths = []
        for piece in place.pieces:
            if piece.rows is None:
                paths.append(f"net.{piece.path}")
                continue
            whole = tensor_at(self.net, piece.path)
            start, stop = piece.rows
            name = f"{piece.path}_{start}_{stop}".replace(".", "_")
            part = nn.Parameter(whole.data[start:stop], requires_grad=whole.requires_grad)
            self.register_parameter(name, part)
            self.slices[name] = (whole, piece.rows)
            whole.register_post_accumulate_grad_hook(_handing_out(whole))
            _PARTS.setdefault(id(whole), []).append((part, start, stop))
            paths.append(name)
        self.keras_weights[role] = WeightMap(tuple(paths), place.transform.to_keras, place.transform.to_torch)


# The parts of tensors that hold several weights, by the tensor's identity. The tensors live as long as the process.
_PARTS: dict[int, list[tuple[nn.Parameter, int, int]]] = {}


def _handing_out(whole: torch.Tensor) -> Any:
    """Gives the parts of a tensor its gradient when it has one."""
    def hook(_parameter: torch.Tensor) -> None:
        if whole.grad is None:
            return
        for part, start, stop in _PARTS[id(whole)]:
            new = whole.grad[start:stop]
            part.grad = new.clone() if part.grad is None else part.grad + new
        whole.grad = None

    return hook


class PortNetwork(nn.Module):
    """The user's module with a Network's interface: what a Session needs of its model.

    layout: "channels_first", "channels_last" or "auto": how inputs of images are handed over. outputs: for each of the
    spec's outputs what the port gives: "same" as Keras, "logits" (what comes before Keras's last activation) or
    "probabilities" (where Keras gives logits that the loss would make probabilities of).
    """

    # It has no dtype policies: mixed precision is torch.autocast around it.
    mixed = None

    def __init__(self, net: nn.Module, spec: ModelSpec, places: Sequence[Place], zeros: Sequence[str] = (), *,
                 layout: str = "auto") -> None:
        super().__init__()
        self.net, self.spec = net, spec
        self.input_names = tuple(item.name for item in spec.inputs)
        self.zeros = tuple(zeros)
        self.chosen_layout = layout
        self.layouts = {item.name: layout_of(net, len(item.shape)) if layout == "auto" else layout
                        for item in spec.inputs}
        self.ids = {item.name for item in spec.inputs
                    if any(item.name in node.inputs and isinstance(spec.layers[node.layer], Embedding)
                           for node in spec.nodes)}
        self.given_as: dict[str, str] = {}
        self.views: dict[str, LayerView] = {}
        owners = {weight.name: weight for weight in spec.weights}
        views: dict[str, LayerView] = {}
        for place in places:
            weight = owners[place.weight]
            views.setdefault(weight.layer, LayerView(net)).add(weight.role, place)
        # Not as submodules: they hold the same tensors as `net`.
        object.__setattr__(self, "views", views)
        wanted = accepts(net)
        if wanted is not None and wanted < len(self.input_names):
            raise SpecError(f"its forward takes {wanted} inputs, the Keras model has {len(self.input_names)}.",
                            where=f"port {type(net).__name__}")

    def layer(self, name: str) -> nn.Module:
        """The view of a layer's weights."""
        return self.views[name]

    def parameters_of(self, layer: str, role: str) -> list[tuple[str, nn.Parameter]]:
        """The parameters (not the buffers) that hold one weight, with their paths in the layer's view."""
        view = self.views[layer]
        found = [(path, tensor_at(view, path)) for path in view.keras_weights[role].tensors]
        return [(path, tensor) for path, tensor in found if isinstance(tensor, nn.Parameter)]

    def handed_over(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Inputs in Keras's layout as the port takes them."""
        found = []
        for name, x in zip(self.input_names, inputs, strict=True):
            x = x.movedim(-1, 1) if self.layouts[name] == "channels_first" and x.dim() > 2 else x
            found.append(x.long() if name in self.ids else x)
        return tuple(found)

    def taken_back(self, outputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Outputs of the port in Keras's layout."""
        first = "channels_first" in self.layouts.values()
        return tuple(y.movedim(1, -1) if first and y.dim() > 3 else y for y in outputs)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        outputs, _ = self.run(inputs, frozenset())
        return outputs[0] if len(outputs) == 1 else outputs

    def run(
        self, inputs: Sequence[torch.Tensor], before_activation: frozenset[str],
    ) -> tuple[tuple[torch.Tensor, ...], tuple[None, ...]]:
        """As Network.run. Masks are the port's own business."""
        outputs = self.taken_back(run(self.net, self.handed_over(inputs)))
        found = tuple(self.as_wanted(name, y, name in before_activation)
                      for name, y in zip(self.spec.outputs, outputs, strict=True))
        return found, (None,) * len(found)

    def as_wanted(self, reference: str, y: torch.Tensor, bare: bool) -> torch.Tensor:
        """An output before or after Keras's last activation, from what the port gives."""
        given = self.given_as.get(reference, "same")
        activation = last_activation(self.spec, reference)
        if bare and given == "same":
            return torch.log(y) if activation == "softmax" else torch.logit(y)
        if not bare and given == "logits":
            assert activation is not None
            return ACTIVATIONS[activation](y)
        return y

    def get_weights(self) -> dict[str, np.ndarray]:
        """The canonical weights."""
        return {weight.name: read_weight(self.views[weight.layer], self.views[weight.layer].keras_weights[weight.role])
                for weight in self.spec.weights}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Loads canonical weights; what Keras has no counterpart of becomes 0."""
        for weight in self.spec.weights:
            view = self.views[weight.layer]
            write_weight(view, view.keras_weights[weight.role], np.ascontiguousarray(weights[weight.name]), weight.name)
        with torch.no_grad():
            for path in self.zeros:
                tensor_at(self.net, path).zero_()


def last_activation(spec: ModelSpec, reference: str) -> str | None:
    """The activation that an output went through last, None if it is of another kind."""
    node = next((node for node in spec.nodes if node.name == reference), None)
    found = None if node is None else getattr(spec.layers[node.layer], "activation", None)
    if node is not None and type(spec.layers[node.layer]).__name__ == "Softmax":
        found = "softmax"
    return found if isinstance(found, str) and found in ACTIVATIONS else None
