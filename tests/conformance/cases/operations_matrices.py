"""Cases of products and linear algebra."""

from tests.conformance.operations_engine import TWO, of, varied
from tests.conformance.operations_engine import OperationCase as Case

CASES = (
    *(Case(f"matmul {a} {b}", of("matmul"), (a, b)) for a, b in (
        ((4, 6), (6, 3)), ((2, 4, 6), (2, 6, 3)), ((2, 4, 6), (1, 6, 3)))),
    Case("matmul of matrices", lambda ops, x, y: x @ ops.mean(y, axis=0), ((4, 6), (6, 3))),
    Case("matmul with an array", lambda ops, x: [ops.matmul(x, [[1.0, 2.0]] * 6)]),
    Case("matmul of numbers", of("matmul"), ((4, 6), (6, 3)), ("numbers", "numbers")),
    Case("matmul of types", of("matmul"), ((4, 6), (6, 3)), ("numbers", "normal")),
    Case("dot", lambda ops, x, y: ops.dot(x, ops.mean(y, axis=0)), ((4, 6), (6, 3))),
    Case("dot of vectors", lambda ops, x, y: ops.dot(x, ops.mean(y, axis=(0, 2))), ((4, 6), (6, 3))),
    Case("dot of numbers", lambda ops, x: ops.dot(x, [1, 2, 3, 4, 5, 6]), kinds=("numbers",)),
    Case("dot of volumes", lambda ops, x, y: ops.dot(x, y), ((4, 6), (6, 3))),
    Case("inner", lambda ops, x, y: ops.inner(x, y), ((1, 6), (4, 6))),
    Case("inner of a vector", lambda ops, x, y: ops.inner(x, ops.mean(y, axis=(0, 1))), ((4, 6), (3, 6))),
    Case("vdot", of("vdot"), TWO), Case("vdot of numbers", of("vdot"), TWO, ("numbers",)),
    Case("outer", of("outer"), ((6,), (3,))), Case("outer types", of("outer"), ((6,), (3,)), ("numbers", "normal")),
    *(Case(f"tensordot {axes}", lambda ops, x, y, a=axes: ops.tensordot(x, ops.mean(y, axis=0), axes=a), ((4, 6), (4,
        6, 3)))
      for axes in (2, ((1,), (0,)), ((1, 2), (0, 1)), ([-1], [1]), 0)),
    Case("tensordot numbers", lambda ops, x: ops.tensordot(x, [1, 2, 3, 4, 5, 6], axes=1), kinds=("numbers",)),
    *(Case(f"einsum {subscripts}", lambda ops, x, y, s=subscripts: ops.einsum(s, x, y), shapes) for subscripts,
        shapes in (
        ("abc,adc->abd", ((4, 6), (3, 6))), ("abc,acd->abd", ((4, 6), (6, 3))), ("abc,abc->ab", TWO), ("abc,adc->",
            TWO),
        ("...i,...i->...", TWO), ("bij,bij->bji", TWO), ("b...i,b...i->b...", TWO), ("abcd,aecd->acbe", ((4, 2, 5),
            (3, 2, 5))),
        ("abc,abd", ((4, 6), (4, 3))), ("btnh,bsnh->bnts", ((4, 2, 5), (3, 2, 5))))),
    Case("einsum of one", lambda ops, x: ops.einsum("abc->acb", x)), Case("einsum trace", lambda ops,
        x: ops.einsum("aii->a", x), ((5, 5),)),
    Case("einsum of three", lambda ops, x, y, z: ops.einsum("abc,acd,ade->abe", x, y, z), ((4, 6), (6, 3), (3, 2))),
    Case("einsum with an array", lambda ops, x: ops.einsum("abc,cd->abd", x, [[1.0, 2.0]] * 6)),
    Case("einsum of numbers", lambda ops, x, y: ops.einsum("abc,adc->abd", x, y), TWO, ("numbers", "numbers")),
    *(Case(f"cross {options} {sizes}", of("cross", **options), ((5, sizes[0]), (5, sizes[1]))) for options, sizes in (
        ({}, (3, 3)), ({}, (2, 2)), ({}, (3, 2)), ({"axisc": 1}, (3, 3)))),
    *(Case(f"cross {options}", of("cross", **options), ((3, 5), (3, 5))) for options in ({"axis": 1}, {"axisa": 1,
        "axisb": 1}, {"axisa": -2, "axisb": -2, "axisc": 0},
                                                                               {"axisa": 1, "axisb": 1, "axisc": 1})),
    Case("inv", of("inv"), ((3, 3),), ("definite",)), Case("inv of blocks", of("inv"), ((2, 3, 3),), ("triangle",)),
    *varied("cholesky", {}, {"upper": True}, inputs=((4, 4),), kinds=("definite",)),
    Case("det", of("det"), ((3, 3),)), Case("logdet", of("logdet"), ((3, 3),), ("definite",)),
    Case("solve", of("solve"), ((3, 3), (3, 2)), ("definite", "normal")), Case("solve vectors", lambda ops, a,
        b: ops.solve(a, b), ((3, 3), (3,)), ("definite", "normal")),
    *varied("solve_triangular", {"lower": True}, {}, inputs=((3, 3), (3, 2)), kinds=("definite", "normal")),
    Case("norm", lambda ops, x: ops.norm(ops.mean(x, axis=0))), *varied("norm", {"axis": 1}, {"axis": -1,
        "keepdims": True}, {"axis": 1, "ord": 2}, {"axis": 1, "ord": 1},
            {"axis": 1, "ord": 3}, {"axis": 1, "ord": float("inf")}, {"axis": 2, "ord": float("-inf")}, {"axis": 1,
                "ord": 0},
            {"axis": (1, 2)}, {"axis": (1, 2), "ord": "fro", "keepdims": True}, {"axis": (1, 2), "ord": 1},
            {"axis": (2, 1), "ord": -1}, {"axis": (1, 2), "ord": float("inf"), "keepdims": True},
            {"axis": (1, 2), "ord": float("-inf")}, {"axis": 1, "ord": 2.5}),
    Case("cdist", of("cdist"), ((4, 6), (3, 6))),
)
