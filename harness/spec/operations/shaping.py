"""Operations that move, join, cut and repeat values (keras/src/ops/numpy.py, core.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations import joining_shapes as joining
from harness.spec.operations import shaping_shapes as rules
from harness.spec.operations.base import declare

OPERATIONS = (
    *declare("numpy", "(x: T, newshape)", rules.reshape, dtypes.first, "reshape"),
    *declare("numpy", "(x: T, axes=None)", rules.transpose, dtypes.first, "transpose"),
    *declare("numpy", "(x: T, axis)", rules.expand_dims, dtypes.first, "expand_dims"),
    *declare("numpy", "(x: T, axis=None)", rules.squeeze, dtypes.first, "squeeze"),
    *declare("numpy", "(x: T, axis1, axis2)", rules.swapaxes, dtypes.first, "swapaxes"),
    *declare("numpy", "(x: T, source, destination)", rules.moveaxis, dtypes.first, "moveaxis"),
    *declare("numpy", "(x: T)", rules.ravel, dtypes.first, "ravel"),
    *declare("numpy", "(x: T, axis=None)", shapes.with_axis, dtypes.first, "flip"),
    *declare("numpy", "(x: T)", shapes.same, dtypes.first, "fliplr flipud"),
    *declare("numpy", "(array: T, k=1, axes=(0, 1))", rules.rot90, dtypes.first, "rot90"),
    *declare("numpy", "(x: T, shift, axis=None)", shapes.with_axis, dtypes.first, "roll"),
    *declare("numpy", "(xs: L, axis=0)", joining.concatenate, dtypes.promoted, "concatenate"),
    *declare("numpy", "(x1: T, x2: T, axis=None)", joining.append, dtypes.promoted, "append"),
    *declare("numpy", "(xs: L)", joining.hstack, dtypes.promoted, "hstack"),
    *declare("numpy", "(xs: L)", joining.vstack, dtypes.promoted, "vstack"),
    *declare("numpy", "(xs: L)", joining.dstack, dtypes.promoted, "dstack"),
    *declare("numpy", "(x: L, axis=0)", joining.stack, dtypes.promoted, "stack"),
    *declare("numpy", "(x: T, indices_or_sections, axis=0)", joining.split, dtypes.first, "split"),
    *declare("numpy", "(x: T, indices_or_sections, axis=0)", joining.array_split, dtypes.first, "array_split"),
    *declare("numpy", "(x: T, indices_or_sections)", joining.hsplit, dtypes.first, "hsplit"),
    *declare("numpy", "(x: T, indices_or_sections)", joining.vsplit, dtypes.first, "vsplit"),
    *declare("numpy", "(x: T, indices_or_sections)", joining.dsplit, dtypes.first, "dsplit"),
    *declare("core", "(x: T, num=None, axis=0)", joining.unstack, dtypes.first, "unstack"),
    *declare("numpy", "(x: T, repeats, axis=None)", rules.repeat, dtypes.first, "repeat"),
    *declare("numpy", "(x: T, repeats)", rules.tile, dtypes.first, "tile"),
    *declare("numpy", "(x: T, pad_width, mode='constant', constant_values: T=None)", rules.pad, dtypes.first, "pad"),
    *declare("numpy", "(x: T, shape)", rules.broadcast_to, dtypes.first, "broadcast_to"),
    *declare("numpy", "(x: T, k=0)", rules.diag, dtypes.first, "diag"),
    *declare("numpy", "(x: T, k=0)", rules.diagflat, dtypes.first, "diagflat"),
    *declare("numpy", "(x: T, offset=0, axis1=0, axis2=1)", rules.diagonal, dtypes.first, "diagonal"),
    *declare("numpy", "(x: T, offset=0, axis1=0, axis2=1)", rules.trace, dtypes.summed, "trace"),
    *declare("numpy", "(x: T, k=0)", rules.triangle, dtypes.first, "tril triu"),
    *declare("numpy", "(x: T, N=None, increasing=False)", rules.vander, dtypes.first, "vander"),
    *declare("numpy", "(*x: L, indexing='xy')", joining.meshgrid, dtypes.first, "meshgrid"),
)
ALIASES: dict[str, str] = {}
