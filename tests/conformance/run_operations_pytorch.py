"""The PyTorch side of the operations' cases: the built twin in float64, differentiated by autograd."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.backends.pytorch.model import build_network
from tests.conformance.cases.operations import CASES
from tests.conformance.engine import cotangents
from tests.conformance.operations_engine import OperationCase


def run_case(case: OperationCase) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    network = build_network(case.spec(), {}, "float64")
    inputs = [torch.from_numpy(array) for array in case.arrays()]
    floating = [(index, x.requires_grad_()) for index, x in enumerate(inputs) if x.is_floating_point()]
    result = network(*inputs)
    outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    factors = cotangents(case.name, [tuple(y.shape) for y in outputs])
    terms = [(y * torch.from_numpy(np.asarray(c))).sum() for y, c in zip(outputs, factors, strict=True)
             if y.is_floating_point()]
    arrays = {f"output {index}": y.detach().numpy() for index, y in enumerate(outputs)}
    if case.gradient and terms and floating:
        total = torch.stack(terms).sum()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
        arrays |= {f"gradient {index}": (torch.zeros_like(x) if x.grad is None else x.grad).detach().numpy()
                   for index, x in floating}
    return arrays, {}


def main() -> None:
    cases = {case.name: case for case in CASES}
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    for name in json.loads(Path(sys.argv[1]).read_text()):
        try:
            found, facts[name] = run_case(cases[name])
            arrays |= {f"{name}|{what}": value for what, value in found.items()}
        except Exception:  # reported by the case's own test
            facts[name] = {"error": traceback.format_exc(limit=-4)}
    np.savez(sys.argv[2], **arrays, facts=np.array(json.dumps(facts)))  # type: ignore[arg-type]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
