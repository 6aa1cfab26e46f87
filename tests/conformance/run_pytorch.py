"""The PyTorch side of the conformance cases: the built twin, in float64, differentiated by autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.backends.pytorch.layers import BUILDERS
from harness.backends.pytorch.model import Network, build_network
from harness.backends.pytorch.weights import weight_maps
from tests.conformance import engine, process


def run_case(key: str, case: engine.Case) -> process.Result:
    spec = case.spec()
    network = build_network(spec, engine.weights_of(key, spec), "float64")
    network.train()
    stochastic = engine.stochastic_nodes(spec)
    if stochastic:
        drawn = network.use_tape(stochastic, torch.device("cpu"), torch.float64)
        drawn.copy_(torch.from_numpy(engine.keys_of(key, len(stochastic))))
    inputs = [torch.from_numpy(array) for array in engine.inputs_of(key, case)]
    floating = [(index, x.requires_grad_()) for index, x in enumerate(inputs) if x.is_floating_point()]
    outputs = _listed(network(*inputs))
    factors = engine.cotangents(key, [tuple(y.shape) for y in outputs])
    total = torch.stack([(y * torch.from_numpy(c)).sum() for y, c in zip(outputs, factors, strict=True)]).sum()
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    arrays = {f"output {index}": _array(y) for index, y in enumerate(outputs)}
    arrays |= {f"input gradient {index}": _array(_gradient(x)) for index, x in floating}
    arrays |= {f"weight gradient {name}": value for name, value in _weight_gradients(network).items()}
    arrays |= {f"weight after {name}": value for name, value in network.get_weights().items()}
    network.eval()
    fed = [x.detach() for x in inputs]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        arrays |= {f"inference {index}": _array(y) for index, y in enumerate(_listed(network(*fed)))}
    return arrays, {"trainable": sorted(weight.name for weight in spec.weights if weight.trainable),
                    "flops": counter.get_total_flops()}


def _weight_gradients(network: Network) -> engine.Arrays:
    """In Keras's layout: a gradient is laid out like its weight."""
    gradients: engine.Arrays = {}
    for weight in network.spec.weights:
        if weight.trainable:
            item = weight_maps(network.layer(weight.layer))[weight.role]
            pieces = network.parameters_of(weight.layer, weight.role)
            gradients[weight.name] = np.array(item.to_keras(tuple(_array(_gradient(p)) for _, p in pieces)))
    return gradients


def _gradient(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad


def _array(x: torch.Tensor) -> np.ndarray:
    array: np.ndarray = x.detach().numpy()
    return array


def _listed(result: Any) -> list[torch.Tensor]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


if __name__ == "__main__":
    torch.set_num_threads(1)
    process.main(run_case, {"builders": sorted(cls.__name__ for cls in BUILDERS),
                            "versions": {"PyTorch": torch.__version__.partition("+")[0]}})
