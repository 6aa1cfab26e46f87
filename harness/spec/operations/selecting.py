"""Operations that pick values: by keys, indices and conditions (keras/src/ops/numpy.py, core.py, math.py, nn.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, shapes
from harness.spec.operations import selecting_shapes as rules
from harness.spec.operations.base import declare

OPERATIONS = (
    *declare("numpy", "(x: T, key: K)", rules.get_item, dtypes.first, "get_item"),
    *declare("numpy", "(condition: T, x1: T=None, x2: T=None)", rules.where, dtypes.values_promoted, "where"),
    *declare("numpy", "(condlist: L, choicelist: L, default: T=0)", rules.select, dtypes.selected, "select"),
    *declare("numpy", "(x: T, indices: T, axis=None)", rules.take, dtypes.first, "take"),
    *declare("numpy", "(x: T, indices: T, axis=None)", rules.take_along_axis, dtypes.first, "take_along_axis"),
    *declare("core", "(inputs: T, start_indices: T, shape)", rules.sliced, dtypes.first, "slice"),
    *declare("core", "(indices: T, values: T, shape)", rules.scatter, dtypes.of_values, "scatter"),
    *declare("core", "(inputs: T, indices: T, updates: T, reduction=None)", rules.scatter_update,
             dtypes.first, "scatter_update"),
    *declare("math", "(data: T, segment_ids: T, num_segments=None, sorted=False)", rules.segments, dtypes.first,
             "segment_sum segment_max segment_min segment_prod"),
    *declare("nn", "(x: T, num_classes, axis=-1, dtype=None, sparse=False)", rules.one_hot, dtypes.asked_or_floating,
             "one_hot"),
    *declare("nn", "(inputs: T, num_classes=None, axis=-1, dtype=None, sparse=False)", rules.multi_hot,
             dtypes.asked_or_floating, "multi_hot"),
    *declare("numpy", "(x: T, bins: T)", shapes.same, dtypes.int32, "digitize"),
    *declare("numpy", "(sorted_sequence: T, values: T, side='left')", rules.searched, dtypes.int32,
             "searchsorted=SearchSorted"),
)
ALIASES: dict[str, str] = {}
