"""Every tensor and gradient of one pass through a network, for comparison with the other backend."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from harness.backends.contract import TraceRequest, Weights
from harness.backends.pytorch.mixed_precision import variable_dtype, whole
from harness.backends.pytorch.model import DTYPES, Network, build_network
from harness.backends.pytorch.weights import weight_maps


def trace(request: TraceRequest) -> Weights:
    """See backends/contract.py: Backend.trace."""
    network = build_network(request.spec, request.weights, request.dtype)
    dtype = DTYPES[variable_dtype(request.dtype)]
    inputs = {name: _tensor(array, dtype) for name, array in request.inputs.items()}
    found: Weights = {}
    network.eval()
    with torch.no_grad():
        for reference, value in _run(network, inputs).items():
            found[f"inference {reference}"] = _array(value)
    network.train()
    if request.stochastic:
        network.use_tape(request.stochastic, torch.device("cpu"), dtype).copy_(torch.from_numpy(request.keys))
    fed = {name: x.requires_grad_() if x.is_floating_point() else x for name, x in inputs.items()}
    values = _run(network, fed)
    found |= {f"training {reference}": _array(value) for reference, value in values.items()}
    found |= _gradients(request, network, fed, values)
    state = {weight.name for weight in request.spec.weights if not weight.trainable}
    found |= {f"weight after {name}": array for name, array in network.get_weights().items() if name in state}
    return {name: request.keep(name, array) for name, array in found.items()}


def _run(network: Network, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    outputs, _ = network.run(tuple(inputs.values()), frozenset())
    return dict(zip(network.spec.outputs, outputs, strict=True))


def _gradients(
    request: TraceRequest, network: Network, inputs: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor],
) -> Weights:
    parts = [(y * torch.from_numpy(request.cotangent(name, tuple(y.shape))).to(y.dtype)).sum()
             for name in request.differentiated if (y := values[name]).requires_grad]
    if not parts:
        return {}
    looked_at = {name: x for name, x in {**inputs, **values}.items() if x.requires_grad}
    pieces = {(weight.name, path): parameter for weight in request.spec.weights if weight.trainable
              for path, parameter in network.parameters_of(weight.layer, weight.role)}
    total = torch.stack([part.double() for part in parts]).sum()
    tensors = [*looked_at.values(), *pieces.values()]
    gradients = torch.autograd.grad(total, tensors, allow_unused=True)
    filled = [torch.zeros_like(x) if g is None else g for x, g in zip(tensors, gradients, strict=True)]
    found = {f"gradient {name}": _array(g) for name, g in zip(looked_at, filled, strict=False)}
    of_pieces = dict(zip(pieces, filled[len(looked_at):], strict=True))
    for weight in request.spec.weights:
        if weight.trainable:
            item = weight_maps(network.layer(weight.layer))[weight.role]
            paths = [path for path, _ in network.parameters_of(weight.layer, weight.role)]
            arrays = tuple(_array(of_pieces[weight.name, path]) for path in paths)
            found[f"weight gradient {weight.name}"] = np.asarray(item.to_keras(arrays))
    return found


def _tensor(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = whole(tensor.detach()).cpu().numpy()
    return array
