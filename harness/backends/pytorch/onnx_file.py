"""A network as an ONNX file, through torch's own exporter."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.backends.pytorch.blueprint import draw_blueprint
from harness.backends.pytorch.model import DTYPES
from harness.errors import SpecError
from harness.spec.model import ModelSpec

PACKAGES = ("onnx", "onnxscript")
# Protocol buffers end at 2 GB; beyond this the weights go into a file of their own.
LARGEST = 1_800_000_000


def write_onnx(spec: ModelSpec, weights: Mapping[str, np.ndarray], dtype: str, path: Path) -> list[Path]:
    """Writes the model in inference mode, with any batch size (and any size where the spec leaves one open).

    Inputs and outputs have the spec's names and Keras's layout. Returns the files. Raises SpecError where a package
    is missing, and for a model that torch's exporter does not take.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SpecError(f"an ONNX file needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}.",
                        hint="Install them: pip install 'harness[onnx]'.")
    blueprint = draw_blueprint(spec, weights, dtype)
    examples = []
    for item in spec.inputs:
        # Two examples: the exporter takes a size of 1 for one that never changes.
        shape = (2, *blueprint.example_shape(item.shape)[1:])
        kind = DTYPES[dtype] if item.dtype.startswith("float") else getattr(torch, item.dtype)
        examples.append(torch.zeros(shape, dtype=kind))
    sizes = tuple({place: f"{item.name}_{place}" if place else "batch"
                   for place, size in enumerate(item.shape) if size is None}
                  for item in spec.inputs)
    large = sum(math.prod(weight.shape) for weight in spec.weights) * DTYPES[dtype].itemsize > LARGEST
    try:
        with _quietly():
            program = torch.onnx.export(
                blueprint.network, tuple(examples), dynamo=True, dynamic_shapes={"inputs": sizes}, verbose=False,
                input_names=[item.name for item in spec.inputs], output_names=list(spec.output_names),
            )
            assert program is not None
            program.save(str(path), external_data=large)
    except Exception as error:
        raise SpecError(f"torch's exporter does not take this model: {_first_line(error)}",
                        where=f"model {spec.name!r}",
                        hint="Export it with --to pytorch; a layer's arguments may be what ONNX lacks.") from error
    return [path, *([path.with_name(path.name + ".data")] if large else [])]


@contextlib.contextmanager
def _quietly() -> Any:
    """Without what the exporter prints and warns about on its way."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """What went wrong, without the exporter's own report."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
