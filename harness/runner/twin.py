"""harness.twin: the audit of a model's PyTorch twin. Both are built from one spec and compared call by call."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.agreement import CallDifference, array_difference, call_differences
from harness.certify.probes import Probe
from harness.plan.initial import initial_weights
from harness.records.array_file import read_arrays
from harness.records.checkpoint import check_weights, save_checkpoint
from harness.runner.tracing import trace_job
from harness.runner.workers import Job, Worker
from harness.spec.model import ModelSpec

# The largest relative difference in float64 at which twins are the same computation.
LIMIT = 1e-8
# Of Keras's own loading of a file against the imported model, whose layers may be fused otherwise: float32's rounding.
STOCK_LIMIT = 1e-4
DTYPES = ("float64", "float32")
KERAS_FILES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class Twin:
    """What the audit found.

    differences: dtype -> one row per call. stock: the largest relative difference of the outputs between Keras's own
    `load_model` of the file and the Keras model that the spec builds, both in the file's precision; None where there
    is no file. exported: the PyTorch source, None where none was asked for.
    """

    spec: ModelSpec
    weights: dict[str, np.ndarray]
    differences: dict[str, tuple[CallDifference, ...]]
    versions: dict[str, str]
    stock: float | None = None
    exported: Path | None = None
    limit: float = LIMIT

    @property
    def largest(self) -> dict[str, float]:
        """dtype -> the largest difference of any call."""
        return {dtype: max((row.largest for row in rows), default=0.0) for dtype, rows in self.differences.items()}

    @property
    def first_difference(self) -> CallDifference | None:
        """The first call beyond the limit in float64, in the order of the model: where to look."""
        return next((row for row in self.differences["float64"] if not row.largest <= self.limit), None)

    @property
    def agrees(self) -> bool:
        """Whether every tensor and gradient agrees in float64 (and Keras's own loading of the file, to 1e-4)."""
        return self.first_difference is None and (self.stock is None or self.stock <= STOCK_LIMIT)


def twin(
    model: Any, weights: Mapping[str, np.ndarray] | None = None, *, export: Path | str | None = None, seed: int = 0,
    batch: int = 2, size: int = 32, dtypes: tuple[str, ...] = DTYPES,
) -> Twin:
    """Builds a model in Keras and in PyTorch and compares outputs, gradients and state of every call.

    model: a .keras, .h5 or spec file, a library name, a ModelSpec, or a live Keras model. weights: canonical; those of
    the model where None, or drawn from the seed. export: where the PyTorch source is written (.py). batch, size: of
    the generated inputs; size is that of the dimensions that the model leaves open. Raises SpecError.
    """
    spec, own = _read(model)
    values = dict(weights) if weights is not None else own or initial_weights(spec, seed)
    check_weights(values, {weight.name: weight.shape for weight in spec.weights})
    probe = Probe(seed, batch, size)
    probe.inputs(spec)  # what cannot be generated is said before anything is started
    with tempfile.TemporaryDirectory(prefix="harness-twin-") as name:
        folder = Path(name)
        save_checkpoint(folder / "weights.safetensors", values)
        file = Path(model) if isinstance(model, (str, Path)) and Path(model).suffix in KERAS_FILES else None
        versions, stock = _trace(spec, probe, folder, dtypes, file)
        differences = {
            dtype: call_differences(spec, read_arrays(folder / f"pytorch {dtype}.npz"),
                                    read_arrays(folder / f"tensorflow {dtype}.npz"))
            for dtype in dtypes
        }
    exported = None
    if export is not None:
        from harness.exchange.export import export as write

        exported = Path(export)
        write(spec, "pytorch", exported, weights=values)
    return Twin(spec, values, differences, versions, stock, exported)


def _is_keras_config(path: Path) -> bool:
    """Whether a .json file holds Keras's config of a model rather than a spec."""
    from harness.spec.files import read_document

    data = read_document(path).data
    return isinstance(data, Mapping) and "class_name" in data


def _read(model: Any) -> tuple[ModelSpec, dict[str, np.ndarray] | None]:
    if isinstance(model, ModelSpec):
        return model, None
    if isinstance(model, (str, Path)):
        path = Path(model)
        if path.suffix not in KERAS_FILES and not (path.suffix == ".json" and _is_keras_config(path)):
            from harness.models import load_model

            return load_model(model), None
    from harness.exchange.from_keras import from_keras

    return from_keras(model)


def _trace(
    spec: ModelSpec, probe: Probe, folder: Path, dtypes: tuple[str, ...], file: Path | None
) -> tuple[dict[str, str], float | None]:
    """Both frameworks side by side, each in processes of its own; (versions, difference to Keras's own model)."""
    def run(backend: str) -> tuple[dict[str, str], float | None]:
        with Worker(backend) as worker:
            versions: dict[str, str] = {}
            for dtype in dtypes:
                versions |= worker.run(Job(f"{trace_job.__module__}:{trace_job.__name__}", {
                    "spec": spec.to_data(), "weights": str(folder / "weights.safetensors"), "backend": backend,
                    "dtype": dtype, "probe": vars(probe), "file": str(folder / f"{backend} {dtype}.npz"),
                })).unwrap()["versions"]
            stock = _stock(worker, spec, probe, folder, file) if backend == "tensorflow" and file else None
        return versions, stock

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(run, ("tensorflow", "pytorch"))
    return {**theirs[0], **ours[0]}, theirs[1]


def _stock(worker: Worker, spec: ModelSpec, probe: Probe, folder: Path, file: Path) -> float:
    """Keras's `load_model` of the file against the Keras model of the spec, in the precision of the file."""
    inputs: dict[str, Any] = {str(index): array for index, array in enumerate(probe.inputs(spec).values())}
    np.savez(folder / "inputs.npz", **inputs)
    dtype = worker.run(Job("harness.backends.tensorflow.stock_file:outputs_job", {
        "model": str(file.resolve()), "inputs": str(folder / "inputs.npz"), "file": str(folder / "stock.npz"),
    })).unwrap()["dtype"]
    traced = folder / f"tensorflow {dtype}.npz"
    ours = read_arrays(traced if traced.exists() else folder / "tensorflow float32.npz")
    with np.load(folder / "stock.npz") as stock:
        return max(
            array_difference(ours[f"inference {name}"], probe.sample(f"inference {name}", stock[str(index)]))
            for index, name in enumerate(spec.outputs) if f"inference {name}" in ours)
