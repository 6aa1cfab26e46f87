"""PyTorch's counts: python -m tests.spec.run_flop_counts WANTED OUT.

WANTED: a JSON list of "models/NAME", "cases/KEY", "operations/NAME" and "controls/NAME". OUT: gets {name: [forward,
step]}, or [why it failed].
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from harness.backends.pytorch.building import WithoutFirstValues
from harness.backends.pytorch.model import Network, build_network
from harness.spec.model import ModelSpec
from tests.conformance import engine
from tests.conformance.cases.operations import CASES as OPERATIONS
from tests.conformance.counting import counting
from tests.spec.counted import BATCH, MODELS, SWEPT


def count(network: Network, inputs: list[torch.Tensor]) -> list[int]:
    """[forward, forward and backward] of the sum of all outputs."""
    with counting() as counter:
        result = network(*inputs)
        forward = counter.get_total_flops()
        outputs = result if isinstance(result, tuple) else (result,)
        terms = [y.sum() for y in outputs if y.requires_grad]
        if terms:
            torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
        return [forward, counter.get_total_flops()]


def of_model(spec: ModelSpec) -> list[int]:
    """On the meta device: shapes alone, no memory and no arithmetic."""
    with torch.device("meta"), WithoutFirstValues():
        network = Network(spec, "float32")
        network.train()
        stochastic = engine.stochastic_nodes(spec)
        if stochastic:
            network.use_tape(stochastic, torch.device("meta"), torch.float32)
        return count(network, [torch.empty((BATCH, *(size or 0 for size in item.shape[1:])),
                                           dtype=getattr(torch, item.dtype)) for item in spec.inputs])


def of_case(key: str) -> list[int]:
    """In float64, with the gradient by the inputs."""
    case = CASES[key]
    spec = case.spec()
    network = build_network(spec, engine.weights_of(key, spec), "float64")
    network.train()
    stochastic = engine.stochastic_nodes(spec)
    if stochastic:
        network.use_tape(stochastic, torch.device("cpu"), torch.float64).copy_(
            torch.from_numpy(engine.keys_of(key, len(stochastic))))
    return count(network, _differentiated(engine.inputs_of(key, case)))


def of_operation(name: str) -> list[int]:
    case = BY_NAME[name]
    return count(build_network(case.spec(), {}, "float64"), _differentiated(case.arrays()))


def of_control(name: str) -> list[int]:
    """[by the counter as it is, by ours] of a training step, in float32."""
    def step() -> None:
        if name == "groups":
            y = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)(torch.ones(BATCH, 4, 6, 6, requires_grad=True))
        elif name == "attention":
            y = F.scaled_dot_product_attention(*torch.ones(3, BATCH, 3, 5, 4, requires_grad=True))
        elif name == "lstm":
            y, _ = nn.LSTM(8, 4, batch_first=True)(torch.ones(BATCH, 7, 8, requires_grad=True))
        else:
            y = torch.ones(BATCH, 5, 8) @ torch.ones(8)
        if y.requires_grad:
            y.sum().backward()  # type: ignore[no-untyped-call]

    with FlopCounterMode(display=False) as plain:
        step()
    with counting() as full:
        step()
    return [plain.get_total_flops(), full.get_total_flops()]


def _differentiated(arrays: list) -> list[torch.Tensor]:
    tensors = [torch.from_numpy(array) for array in arrays]
    return [x.requires_grad_() if x.is_floating_point() else x for x in tensors]


CASES = engine.all_cases()
BY_NAME = {case.name: case for case in OPERATIONS}


ROOMS = {"models": lambda name: of_model({**MODELS, **SWEPT}[name]()), "cases": of_case, "operations": of_operation,
         "controls": of_control}


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, list] = {}
    for wanted in json.loads(Path(sys.argv[1]).read_text()):
        room, _, name = wanted.partition("/")
        try:
            found[wanted] = ROOMS[room](name)
        except Exception:  # reported by the test
            found[wanted] = [traceback.format_exc(limit=-4)]
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
