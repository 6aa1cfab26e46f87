"""Cases of the operations on tensors: the families' tables together."""

from tests.conformance.cases import (
    operations_elementwise,
    operations_matrices,
    operations_neural,
    operations_reductions,
    operations_selecting,
    operations_shaping,
    operations_transforms,
)
from tests.conformance.operations_engine import OperationCase

FAMILIES = (
    operations_elementwise, operations_reductions, operations_shaping, operations_selecting, operations_matrices,
    operations_neural, operations_transforms,
)
CASES: tuple[OperationCase, ...] = tuple(case for family in FAMILIES for case in family.CASES)
assert len({case.name for case in CASES}) == len(CASES), "two cases have one name"
