"""Products and linear algebra (keras/src/ops/numpy.py, linalg.py, math.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations import matrix_shapes as rules
from harness.spec.operations.base import declare

TWO = "(x1: T, x2: T)"

OPERATIONS = (
    *declare("numpy", TWO, rules.matmul, dtypes.strictly, "matmul", rules.matmul_products),
    *declare("numpy", TWO, rules.dot, dtypes.strictly, "dot", rules.dot_products),
    *declare("numpy", TWO, rules.inner, dtypes.strictly, "inner", rules.inner_products),
    *declare("numpy", TWO, shapes.scalar, dtypes.strictly, "vdot"),
    *declare("numpy", TWO, rules.outer, dtypes.strictly, "outer"),
    *declare("numpy", "(x1: T, x2: T, axes=2)", rules.tensordot, dtypes.strictly, "tensordot",
             rules.tensordot_products),
    *declare("numpy", "(subscripts, *operands: L)", rules.einsum, dtypes.strictly, "einsum", rules.einsum_products),
    *declare("numpy", "(x1: T, x2: T, axisa=-1, axisb=-1, axisc=-1, axis=None)", rules.cross, dtypes.strictly,
             "cross"),
    *declare("linalg", "(x: T)", rules.square, dtypes.floating, "inv"),
    *declare("linalg", "(x: T, upper=False)", rules.square, dtypes.floating, "cholesky"),
    *declare("linalg", "(x: T)", rules.determinant, dtypes.floating, "det"),
    *declare("math", "(x: T)", rules.determinant, dtypes.floating, "logdet"),
    *declare("linalg", "(a: T, b: T)", rules.solved, dtypes.floating, "solve"),
    *declare("linalg", "(a: T, b: T, lower=False)", rules.solved, dtypes.floating, "solve_triangular"),
    *declare("linalg", "(x: T, ord=None, axis=None, keepdims=False)", rules.norm, dtypes.floating, "norm"),
    *declare("math", "(x: T, y: T)", rules.distances, dtypes.floating, "cdist=CDist"),
)
ALIASES: dict[str, str] = {}
