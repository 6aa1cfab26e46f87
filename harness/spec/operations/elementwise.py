"""Elementwise operations: maths, comparisons, logic, bits (keras/src/ops/numpy.py, math.py, core.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations.base import declare

ONE, TWO = "(x: T)", "(x1: T, x2: T)"

OPERATIONS = (
    *declare("numpy", ONE, shapes.same, dtypes.first, "absolute negative sign conjugate copy trunc reciprocal"),
    *declare("numpy", ONE, shapes.same, dtypes.floating,
             "arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh deg2rad exp exp2 expm1 fabs floor log "
             "log10 log1p log2 rad2deg sin sinc sinh sqrt tan tanh i0"),
    *declare("numpy", ONE, shapes.same, dtypes.squared, "square"),
    *declare("math", ONE, shapes.same, dtypes.first, "erf erfc erfinv rsqrt"),
    *declare("numpy", ONE, shapes.same, dtypes.boolean,
             "isneginf isposinf isreal logical_not signbit"),
    *declare("numpy", ONE, shapes.same, dtypes.boolean_of_floats, "isfinite isinf isnan"),
    *declare("numpy", ONE, shapes.same, dtypes.first, "bitwise_invert bitwise_not"),
    *declare("numpy", "(x: T, decimals=0)", shapes.same, dtypes.first, "round"),
    *declare("numpy", "(x: T, x_min, x_max)", shapes.same, dtypes.first, "clip"),
    *declare("numpy", "(x: T, nan=0.0, posinf=None, neginf=None)", shapes.same, dtypes.first, "nan_to_num"),
    *declare("numpy", TWO, shapes.added, dtypes.promoted, "add"),
    *declare("numpy", TWO, shapes.elementwise, dtypes.promoted,
             "subtract multiply maximum minimum fmax fmin floor_divide power"),
    *declare("numpy", TWO, shapes.elementwise, dtypes.remainder, "mod fmod"),
    *declare("numpy", TWO, shapes.elementwise, dtypes.floating,
             "divide true_divide divide_no_nan arctan2 heaviside hypot logaddexp logaddexp2 nextafter"),
    *declare("numpy", TWO, shapes.elementwise, dtypes.first, "ldexp"),
    *declare("numpy", TWO, shapes.elementwise, dtypes.boolean,
             "equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor"),
    *declare("numpy", "(x1: T, x2: T, rtol: T=1e-05, atol: T=1e-08, equal_nan=False)", shapes.elementwise,
             dtypes.boolean, "isclose"),
    *declare("numpy", "(x: T, y: T)", shapes.elementwise, dtypes.strictly,
             "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift right_shift"),
    *declare("core", "(x: T, dtype)", shapes.same, dtypes.asked, "cast saturate_cast"),
    *declare("core", "(variable: T)", shapes.same, dtypes.first, "stop_gradient"),
    *declare("numpy", "(x: T, dtype=None)", shapes.same, dtypes.asked, "zeros_like ones_like empty_like"),
    *declare("numpy", "(x: T, fill_value: T, dtype=None)", shapes.same, dtypes.asked, "full_like"),
)
ALIASES = {"abs": "absolute", "conj": "conjugate"}
