"""Cases of operations over axes."""

from tests.conformance.operations_engine import TWO, varied
from tests.conformance.operations_engine import OperationCase as Case

REDUCED = ({}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (1, 2)}, {"axis": (0, 2), "keepdims": True})
ONE_AXIS = ({}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": 0})

CASES = (
    *(case for name in ["mean", "std", "var", "median", "sum", "prod", "max", "min", "amax", "amin", "ptp", "logsumexp"]
      for case in varied(name, *REDUCED)),
    *(case for name in ["max", "min", "amax", "amin", "ptp", "median"] for case in varied(name, *REDUCED[1:4],
        kinds=("ties",))),
    *(case for name in ["all", "any"] for case in varied(name, *REDUCED, kinds=("flags",))),
    *(case for name in ["all", "any"] for case in varied(name, *REDUCED[1:3], kinds=("ties",))),
    *(case for name in ["mean", "std", "var", "sum", "max", "min", "ptp", "median", "prod"]
      for case in varied(name, *REDUCED[1:3], kinds=("numbers",))),
    *varied("sum", *REDUCED[1:2], kinds=("bytes",)), *varied("sum", *REDUCED[1:2], kinds=("flags",)),
    *varied("mean", *REDUCED[1:2], kinds=("flags",)),
    *varied("prod", {"dtype": "float32"}, {"axis": 1, "dtype": "float32"}),
    *varied("prod", {"axis": 1}, kinds=("ties",)),
    *varied("max", {"axis": 1, "initial": 0.5}, {"initial": -9.0}), *varied("min", {"axis": 1, "initial": 0.5}),
    *(case for name in ["argmax", "argmin"] for kind in ("normal", "ties", "numbers")
      for case in varied(name, *ONE_AXIS, kinds=(kind,))),
    *(case for name in ["nanargmax", "nanargmin"] for case in varied(name, *ONE_AXIS, kinds=("missing",))),
    *(case for name in ["nanargmax"] for case in varied(name, *ONE_AXIS, kinds=("numbers",))),
    *(case for name in ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"]
      for case in varied(name, *REDUCED, kinds=("missing",), inputs=((6, 8),))),
    *varied("count_nonzero", {}, {"axis": 1}, {"axis": (1, 2)}, kinds=("ties",)),
    *varied("quantile", {"q": 0.3}, {"q": [0.1, 0.5, 0.9], "axis": 1}, {"q": 0.25, "axis": (1, 2), "keepdims": True},
            {"q": [0.2, 0.8], "axis": -1, "keepdims": True}, {"q": 0.3, "axis": 1}, {"q": [0.0, 1.0], "axis": 1}),
    *varied("quantile", {"q": 0.5, "axis": 1}, kinds=("missing",)),
    *varied("percentile", {"q": 30}, {"q": [10.0, 50.0, 90.0], "axis": 1}, {"q": 25, "axis": (1, 2),
        "keepdims": True},
            {"q": [20, 80], "axis": -1, "keepdims": True}, {"q": 33.3, "axis": 1}, {"q": [0, 100], "axis": 1}),
    *varied("average", {}, {"axis": 1}, {"axis": 2, "weights": [1.0, 2.0, 3.0, 1.0, 0.5, 2.0]}),
    Case("average with weights", lambda ops, x, w: [ops.average(x, weights=w), ops.average(x, axis=1, weights=w)],
        TWO,
         ("normal", "positive")),
    *(case for name in ["cumsum", "cumprod"] for case in varied(
        name, {"axis": 1}, {"axis": -1}, {}, {"axis": 1, "dtype": "float32"}, kinds=("normal",))),
    *varied("cumsum", {"axis": 1}, kinds=("numbers",)), *varied("cumsum", {"axis": 1}, kinds=("flags",)),
    *(case for name in ["nancumsum", "nancumprod"] for case in varied(
        name, {"axis": 1}, {"axis": -1}, {}, {"axis": 1, "dtype": "float32"}, kinds=("missing",))),
    *varied("diff", {}, {"n": 2}, {"axis": 1}),
    *varied("trapezoid", {}, {"dx": 0.5, "axis": 1}, {"x": (0.0, 1.0, 3.0, 3.5, 4.0, 7.0)}, {"axis": 2}),
    *varied("moments", {"axes": (1,)}, {"axes": (0, 1), "keepdims": True}, {"axes": 1}),
    *(case for name in ["sort", "argsort"] for kind in ("normal", "ties", "numbers")
      for case in varied(name, {}, {"axis": 1}, {"axis": None}, kinds=(kind,))),
    *varied("top_k", {"k": 2}, {"k": 6}), *varied("top_k", {"k": 3}, kinds=("ties",)),
    *varied("top_k", {"k": 3}, kinds=("numbers",)),
)
