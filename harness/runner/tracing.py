"""A trace of a model in a worker's child: the spec, weights and probe come from a folder, the arrays go into it."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import TraceRequest
from harness.certify.probes import Probe, every_tensor
from harness.plan.compiler import stochastic_calls
from harness.records.array_file import write_arrays
from harness.records.checkpoint import load_checkpoint
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec


def trace_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The workers' entry point. arguments: {"spec": plain data, "weights": a canonical .safetensors file, "backend",
    "dtype", "probe": {"seed", "batch", "size"}, "file": where the arrays go (.npz)}."""
    backend = load_backend(arguments["backend"])
    dtype = arguments["dtype"]
    backend.configure(Execution(device="cpu", precision=dtype))
    spec = ModelSpec.from_data(arguments["spec"])
    arrays = backend.trace(trace_request(
        spec, load_checkpoint(arguments["weights"]).weights, Probe(**arguments["probe"]), dtype))
    write_arrays(arguments["file"], arrays)
    return {"versions": backend.versions()}


def trace_request(spec: ModelSpec, weights: dict[str, np.ndarray], probe: Probe, dtype: str) -> TraceRequest:
    """A trace of every tensor of the model."""
    stochastic = stochastic_calls(spec)
    tensors = every_tensor(spec)
    return TraceRequest(
        spec=ModelSpec(spec.name, spec.inputs, spec.layers, spec.nodes, tensors),
        differentiated=tuple(dict.fromkeys(reference for reference in spec.outputs if reference in tensors)),
        weights=weights, inputs=probe.inputs(spec), dtype=dtype, stochastic=stochastic,
        keys=probe.keys(len(stochastic)), cotangent=probe.cotangent, keep=probe.sample)
