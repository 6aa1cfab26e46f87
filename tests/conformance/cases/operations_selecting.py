"""Cases of operations that pick values."""

from tests.conformance.operations_engine import TWO, of, varied
from tests.conformance.operations_engine import OperationCase as Case

KEYS = {
    "first step": lambda x: x[:, 0], "last": lambda x: x[..., -1], "every other": lambda x: x[:, ::2],
    "new axis": lambda x: x[:, None, 1:3], "from behind": lambda x: x[:, -2:, :-1], "backwards": lambda x: x[:, ::-1,
        4:0:-2],
    "new axes": lambda x: x[..., None, :], "one value": lambda x: x[:, 1, 2], "example": lambda x: x[0],
    "whole": lambda x: x[...], "beyond": lambda x: x[:, 2:99],
}

CASES = (
    *(Case(f"get_item {name}", lambda ops, x, key=key: key(x)) for name, key in KEYS.items()),
    Case("get_item of numbers", lambda ops, x: x[:, 1:], kinds=("numbers",)),
    Case("get_item of any length", lambda ops, x: [x[:, 1:], x[:, ::2], x[:, -1]], ((None, 3),)),
    Case("where", lambda ops, c, x, y: ops.where(c, x, y), ((4, 6),) * 3, ("flags", "normal", "normal")),
    Case("where broadcast", lambda ops, c, x, y: ops.where(c, x, y), ((4, 1), (4, 6), (1, 6)), ("ties", "normal",
        "normal")),
    *(Case(f"where {values}", lambda ops, c, v=values: ops.where(c, *v), kinds=("flags",))
      for values in ((1.5, -2.0), (1, 2), (1, 2.5))),
    Case("where a constant", lambda ops, x: [ops.where(x > 0, x, 0.0), ops.where(x > 0, 0, x)]),
    Case("where types", lambda ops, x, n: [ops.where(x > 0, x, n), ops.where(x > 0, n, 0.5)], TWO, ("normal",
        "numbers")),
    Case("select", lambda ops, x, y: ops.select([x > 0, y > 0], [x, y], 0.0), TWO),
    Case("select default", lambda ops, x, y: ops.select([x > 0, y > 0, x > y], [x, y, x * y], -1.5), TWO),
    *(Case(f"take {axis}", of("take", axis=axis), ((4, 6), (3,)), ("normal", "places")) for axis in (1, -1, None)),
    *varied("take", {"indices": [0, -1, 2, 0], "axis": 1}, {"indices": 2, "axis": 1}, {"indices": [[0, 1], [3, -2]]}),
    Case("take from a table", lambda ops, i: ops.take([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.5]], i, axis=0),
        ((3,),),
         ("places",)),
    *(Case(f"take_along_axis {axis}", of("take_along_axis", axis=axis), TWO, ("normal", "places")) for axis in (1,
        -1)),
    Case("take_along_axis broadcast", of("take_along_axis", axis=1), ((4, 6), (2, 1)), ("normal", "places")),
    Case("take_along_axis flat", lambda ops, x, i: ops.take_along_axis(x, ops.reshape(i, (-1,))), ((4, 6), (3,)),
        ("normal", "places")),
    *varied("slice", {"start_indices": (0, 1, 2), "shape": (2, 2, 3)}, {"start_indices": [1, 0, 0], "shape": [-1, 4,
        -1]},
            {"start_indices": (0, 0, 5), "shape": (4, 1, 1)}),
    *(Case(f"scatter {shape}", lambda ops, i, v, s=shape: ops.scatter(ops.reshape(i, (-1, 1)), ops.reshape(v, (-1,
        6)), s),
           ((3,), (3, 6)), ("places", "normal")) for shape in ((4, 6), (9, 6))),
    *(Case(f"scatter_update {reduction}", lambda ops, x, v, r=reduction: ops.scatter_update(
        x, [[0, 1], [2, 3], [1, 0]], ops.mean(v, axis=0)[:3], reduction=r), ((4, 6), (4, 6))) for reduction in (None,
            "add")),
    *(Case(f"segment_{name} {number}", lambda ops, x, i, f=name, n=number: getattr(ops, f"segment_{f}")(
        x, i[:, 0], num_segments=n), ((3, 6), (2,)), ("normal", "places"), batch=9)
      for name in ("sum", "prod", "max", "min") for number in (4, 6)),
    Case("segment_max ties", lambda ops, x, i: ops.segment_max(x, i[:, 0], num_segments=4), ((3,), (3,)), ("ties",
        "places"), batch=9),
    *varied("one_hot", {"num_classes": 4}, {"num_classes": 3, "axis": 1}, {"num_classes": 5, "axis": 0,
        "dtype": "int32"},
            {"num_classes": 6, "axis": 1, "dtype": "bool"}, kinds=("places",)),
    *varied("multi_hot", {"num_classes": 4}, {"num_classes": 6, "dtype": "bool"}, {"num_classes": 5,
        "dtype": "int32"},
            kinds=("places",)),
    *varied("digitize", {"bins": [-1.0, 0.1, 0.5, 2.0]}, {"bins": [-1, 0, 1]}, kinds=("ties",)),
    *varied("digitize", {"bins": [-1.0, 0.5, 2.0]}, kinds=("numbers",)),
    *(Case(f"searchsorted {side}", lambda ops, x, s=side: ops.searchsorted(ops.sort(ops.mean(x, axis=(0, 1))), x[:,
        0, 0], side=s))
      for side in ("left", "right")),
)
