"""A user's module as plain data: what owns tensors, in which order it is called, what drops at random."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from harness.backends.pytorch.ports.dropout import Drops
from harness.errors import SpecError

PLAIN = (bool, int, float, str, type(None))
# Whose input is (batch, channels, ...).
CHANNELS_FIRST = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "BatchNorm2d",
                  "BatchNorm3d", "GroupNorm", "InstanceNorm2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d",
                  "MaxPool1d", "AvgPool1d", "BatchNorm1d", "MaxPool3d", "PReLU")
STACKED = (nn.LSTM, nn.GRU, nn.RNN)


def kind_of(module: nn.Module) -> str:
    """The class of torch.nn that a module is or extends, else its own class's name."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("torch.nn.") and cls not in (nn.Module, nn.Sequential, nn.ModuleList):
            return "Linear" if cls.__name__ == "NonDynamicallyQuantizableLinear" else cls.__name__
    return type(module).__name__


def describe(net: nn.Module, inputs: Sequence[torch.Tensor], drops: Drops) -> dict[str, Any]:
    """Plain data: "units" (certify/ports/rules.py: TorchUnit), "calls" (of each module), "drops" (in "training" and in
    "inference"), "outputs" (shapes).

    inputs: a batch in the port's own layout. Raises SpecError where the port's forward does.
    """
    order: dict[str, list[int]] = {}
    clock = [0]
    handles = [module.register_forward_pre_hook(_counting(path, order, clock)) for path, module in net.named_modules()]
    try:
        net.eval()
        with drops.watching(), torch.no_grad():
            outputs = run(net, inputs)
        inference = drops.taken()
        net.train()
        saved = {name: tensor.clone() for name, tensor in net.named_buffers()}
        counted = {path: list(places) for path, places in order.items()}  # of one pass
        with drops.watching(), torch.no_grad():
            run(net, inputs)
        training = drops.taken()
        for name, tensor in net.named_buffers():
            tensor.data.copy_(saved[name])
    finally:
        _remove(handles)
    units = [unit for path, module in _owners(net) for unit in _units(path, module, counted)]
    calls = {path: len(places) for path, places in counted.items()}
    return {"units": units, "calls": calls, "drops": {"training": training, "inference": inference},
            "outputs": [list(output.shape) for output in outputs]}


def run(net: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The outputs as a tuple. Raises SpecError where the forward fails or gives something else."""
    try:
        result = net(*inputs)
    except Exception as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise SpecError(f"its forward fails on inputs of shape {shapes}: {type(error).__name__}: {error}.",
                        where=f"port {type(net).__name__}",
                        hint="--layout channels_first or channels_last says how images are handed over.") from error
    if isinstance(result, torch.Tensor):
        return (result,)
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, (tuple, list)) and all(isinstance(item, torch.Tensor) for item in result):
        return tuple(result)
    raise SpecError(f"its forward gives {type(result).__name__}, not a tensor or several.",
                    where=f"port {type(net).__name__}")


def layout_of(net: nn.Module, rank: int) -> str:
    """"channels_first" where the first module with a layout reads (batch, channels, ...) of this rank."""
    for module in net.modules():
        kind = kind_of(module)
        if kind == "Linear":
            return "channels_last"
        if kind in CHANNELS_FIRST and (kind[-2:] == f"{rank - 2}d" or kind in ("GroupNorm", "PReLU")):
            return "channels_first"
    return "channels_last"


def _owners(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules with tensors of their own; what belongs to nn.MultiheadAttention is one."""
    inside = {id(child) for module in net.modules() if isinstance(module, nn.MultiheadAttention)
              for child in module.modules() if child is not module}
    return [(path, module) for path, module in net.named_modules()
            if id(module) not in inside and (module._parameters or any(_floating(b) for b in module._buffers.values())
                                             or isinstance(module, nn.MultiheadAttention))]


def _floating(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.is_floating_point()


def _counting(path: str, order: dict[str, list[int]], clock: list[int]) -> Any:
    def hook(_module: nn.Module, _inputs: Any) -> None:
        order.setdefault(path, []).append(clock[0])
        clock[0] += 1

    return hook


def _units(path: str, module: nn.Module, order: dict[str, list[int]]) -> list[dict[str, Any]]:
    deep = isinstance(module, nn.MultiheadAttention)
    parameters = dict(module.named_parameters(recurse=deep))
    buffers = {name: tensor for name, tensor in module.named_buffers(recurse=deep) if tensor.is_floating_point()}
    tensors = {name: list(tensor.shape) for name, tensor in {**parameters, **buffers}.items()}
    places = order.get(path, [])
    made: dict[str, Any] = {"path": path, "kind": kind_of(module), "tensors": tensors, "settings": settings_of(module),
            "trainable": {name: parameter.requires_grad for name, parameter in parameters.items()},
            "calls": len(places), "first_call": places[0] if places else None, "suffix": ""}
    if not isinstance(module, STACKED) or module.num_layers == 1:
        return [made]
    return [{**made, "suffix": f"_l{index}",
             "tensors": {name: shape for name, shape in tensors.items() if _of_layer(name, index)},
             "trainable": {name: flag for name, flag in made["trainable"].items() if _of_layer(name, index)}}
            for index in range(module.num_layers)]


def _of_layer(name: str, index: int) -> bool:
    return name.removesuffix("_reverse").endswith(f"_l{index}")


def settings_of(module: nn.Module) -> dict[str, Any]:
    """The plain attributes that a module was made with."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(module).items()
            if not name.startswith("_") and name != "training" and _plain(value)}


def _plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, tuple) and all(isinstance(item, PLAIN) for item in value))


def _remove(handles: Sequence[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


def accepts(net: nn.Module) -> int | None:
    """How many inputs the forward takes, None where it takes any number."""
    parameters = list(inspect.signature(net.forward).parameters.values())
    if any(item.kind is item.VAR_POSITIONAL for item in parameters):
        return None
    return sum(item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters)
