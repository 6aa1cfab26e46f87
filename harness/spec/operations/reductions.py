"""Sums, means, extremes and what else is taken over axes (keras/src/ops/numpy.py, math.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations.base import declare

OVER_AXES = "(x: T, axis=None, keepdims=False)"
QUANTILES = "(x: T, q: T, axis=None, method='linear', keepdims=False)"

OPERATIONS = (
    *declare("numpy", OVER_AXES, shapes.reduced, dtypes.floating, "mean std var median nanmean nanstd nanvar"),
    *declare("numpy", OVER_AXES, shapes.reduced, dtypes.summed, "sum nansum nanprod"),
    *declare("numpy", "(x: T, axis=None, keepdims=False, dtype=None)", shapes.reduced, dtypes.summed, "prod"),
    *declare("numpy", OVER_AXES, shapes.reduced, dtypes.first, "amax amin ptp nanmax nanmin"),
    *declare("numpy", "(x: T, axis=None, keepdims=False, initial=None)", shapes.reduced, dtypes.first, "max min"),
    *declare("numpy", OVER_AXES, shapes.reduced, dtypes.boolean, "all any"),
    *declare("numpy", OVER_AXES, shapes.reduced, dtypes.int32, "argmax argmin nanargmax nanargmin"),
    *declare("numpy", "(x: T, axis=None)", shapes.reduced, dtypes.int32, "count_nonzero"),
    *declare("math", OVER_AXES, shapes.reduced, dtypes.floating, "logsumexp"),
    *declare("numpy", QUANTILES, shapes.of_quantiles, dtypes.floating, "quantile percentile"),
    *declare("numpy", "(x: T, axis=None, weights: T=None)", shapes.weighted, dtypes.floating, "average"),
    *declare("numpy", "(x: T, axis=None, dtype=None)", shapes.cumulative, dtypes.accumulated,
             "cumsum cumprod nancumsum nancumprod"),
    *declare("numpy", "(a: T, n=1, axis=-1)", shapes.differences, dtypes.first, "diff"),
    *declare("numpy", "(y: T, x=None, dx=1.0, axis=-1)", shapes.trapezoid, dtypes.floating, "trapezoid"),
    *declare("nn", "(x: T, axes, keepdims=False, synchronized=False)", shapes.moments, dtypes.first, "moments"),
    *declare("numpy", "(x: T, axis=-1)", shapes.cumulative, dtypes.first, "sort"),
    *declare("numpy", "(x: T, axis=-1)", shapes.cumulative, dtypes.int32, "argsort"),
    *declare("math", "(x: T, k, sorted=True)", shapes.counted, dtypes.values_and_indices, "top_k=TopK"),
    *declare("numpy", "(x1: T, x2: T, rtol=1e-05, atol=1e-08, equal_nan=False)", shapes.scalar, dtypes.boolean,
             "allclose=AllClose"),
)
ALIASES: dict[str, str] = {}
