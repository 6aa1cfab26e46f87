"""Where rounding ends: the limits of every rung, and the layers whose kernels round more (docs/certificate.md)."""

from __future__ import annotations

import numpy as np

from harness.spec.layers.base import Layer

# Relative differences, float64 (design: measuring.md). R1: of one call; R2: of one whole step.
CALL_LIMIT, STEP_LIMIT = 1e-10, 1e-9
# In float32, by the ratio of the two types' units in the last place.
RATIO = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
# A difference may be this many times what one ulp in the inputs makes of the same array in one framework alone.
FACTOR = 10.0

# Layers that Keras on TensorFlow computes in float32 whatever the model's precision: tests/conformance/cases name the
# kernels. Their differences end at float32's rounding, which a probe of one ulp in float64 does not show.
FLOAT32_KERNELS = frozenset({
    "RandomPerspective", "RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom", "RandomColorJitter",
    "RandomHue", "RandAugment", "ContrastLimitedAdaptiveHistogramEqualization", "Pipeline", "MelSpectrogram",
    "STFTSpectrogram", "Resizing", "UpSampling2D", "ops.image.resize", "ops.image.affine_transform",
})
FLOAT32_LIMIT = 1e-5


def call_limit(layer: Layer, dtype: str, control: float | None) -> float:
    """What the arrays of one call may differ by. control: that of the same array, see runner/certifying.py."""
    limit = CALL_LIMIT if dtype == "float64" else FLOAT32_LIMIT
    if layer.canonical_name() in FLOAT32_KERNELS or layer.dtype not in (None, dtype):
        limit = max(limit, FLOAT32_LIMIT)
    return widened(limit, control)


def step_limit(dtype: str, control: float | None, rounds_in_float32: bool = False) -> float:
    """What the arrays of a whole step may differ by. rounds_in_float32: whether the model has such a layer."""
    limit = STEP_LIMIT if dtype == "float64" else STEP_LIMIT * RATIO / 100
    return widened(max(limit, 10 * FLOAT32_LIMIT) if rounds_in_float32 else limit, control)


def widened(limit: float, control: float | None) -> float:
    """At least FACTOR times the control: where one ulp moves an array further than the limit, so may two frameworks."""
    return max(limit, FACTOR * control) if control is not None and np.isfinite(control) else limit
