"""Products and linear algebra in PyTorch (keras/src/backend/tensorflow/numpy.py, linalg.py, math.py)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from harness.backends.pytorch.layers.operations import Operation


class Products(Operation):
    """Base of sums of products: whole numbers are multiplied as floating-point ones, as Keras does."""

    def compute(self, *operands: Any) -> torch.Tensor:
        tensors = self.tensors(*operands, strict=True)
        kind = tensors[0].dtype
        y = self.product(*(self.floating(x) for x in tensors))
        return y if kind.is_floating_point else y.to(kind)

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class MatMul(Products):
    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.matmul(*tensors)


class Dot(Products):
    """Over the last axis of the first and the last but one of the second."""

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        a, b = tensors
        if not a.dim() or not b.dim():
            return a * b
        return torch.tensordot(a, b, ([-1], [-1 if b.dim() == 1 else -2]))


class Inner(Products):
    """Over the last axes of both."""

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        a, b = tensors
        return a * b if not a.dim() or not b.dim() else torch.tensordot(a, b, ([-1], [-1]))


class VDot(Products):
    """Over all values in a row."""

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        a, b = tensors
        return torch.dot(a.flatten(), b.flatten())


class TensorDot(Products):
    """axes: those of the first and those of the second that are summed over."""

    def __init__(self, axes: tuple[tuple[int, ...], tuple[int, ...]], fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axes = axes

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        a, b = tensors
        return torch.tensordot(a, b, [list(axes) for axes in self.axes])


class Einsum(Products):
    def __init__(self, subscripts: str, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.subscripts = subscripts

    def extra_repr(self) -> str:
        return self.subscripts

    def product(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.einsum(self.subscripts, *tensors)


class Outer(Operation):
    """Of all values in a row of each."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        return a.reshape(-1, 1) * b.reshape(-1)


class Cross(Operation):
    """The cross product of vectors of 2 or 3; axes: theirs, and where the result's go."""

    def __init__(self, axes: tuple[int, int, int], fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axes = axes

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        a, b = a.movedim(self.axes[0], -1), b.movedim(self.axes[1], -1)
        flat = a.shape[-1] == b.shape[-1] == 2
        a, b = (F.pad(x, (0, 1)) if x.shape[-1] == 2 else x for x in (a, b))
        y = torch.linalg.cross(*torch.broadcast_tensors(a, b))
        return y[..., 2] if flat else y.movedim(-1, self.axes[2])


class Linear(Operation):
    """A function of torch.linalg of square matrices: inv, det."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(torch.linalg, self.function)(x)
        return result


class Cholesky(Operation):
    def __init__(self, upper: bool = False) -> None:
        super().__init__()
        self.upper = upper

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.cholesky(x).mT if self.upper else torch.linalg.cholesky(x)


class LogDet(Operation):
    """Of positive definite matrices, as TensorFlow computes it."""

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return 2.0 * torch.linalg.cholesky(x).diagonal(dim1=-2, dim2=-1).log().sum(-1)


class Solve(Operation):
    """triangle: "", or which one of a counts: "lower" or "upper"."""

    def __init__(self, triangle: str = "", fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.triangle = triangle

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        vector = b.dim() == a.dim() - 1
        b = b.unsqueeze(-1) if vector else b
        y = torch.linalg.solve_triangular(a, b, upper=self.triangle == "upper") if self.triangle else \
            torch.linalg.solve(a, b)
        return y.squeeze(-1) if vector else y


class Norm(Operation):
    """Of vectors along one axis, of matrices along two, of all values along more."""

    def __init__(self, order: float | str | None, axis: tuple[int, ...], keepdims: bool) -> None:
        super().__init__()
        self.order, self.axis, self.keepdims = order, axis, keepdims

    def extra_repr(self) -> str:
        return f"order={self.order}, axis={self.axis}, keepdims={self.keepdims}"

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        x, order = self.floating(x), self.order
        if order in (None, "fro") or (order == 2 and len(self.axis) == 1):
            return torch.sqrt(torch.square(x).sum(self.axis, self.keepdims))
        largest = not isinstance(order, str) and order is not None and order > 0
        extreme = torch.amax if largest else torch.amin
        if len(self.axis) == 1:
            if order in (float("inf"), float("-inf")):
                return extreme(torch.abs(x), self.axis, self.keepdims)
            if order == 0:
                return (x != 0).to(x.dtype).sum(self.axis, self.keepdims)
            assert isinstance(order, (int, float))
            return torch.pow(torch.pow(torch.abs(x), order).sum(self.axis, self.keepdims), 1.0 / order)
        # The largest (smallest) sum of a column, or of a row for infinity.
        rows, columns = self.axis if order in (1, -1) else self.axis[::-1]
        y = extreme(torch.abs(x).sum(rows, True), columns, True)
        return y if self.keepdims else y.squeeze(self.axis)


class Distances(Operation):
    """Between all rows of the first and all of the second."""

    def compute(self, a: Any, b: Any) -> torch.Tensor:
        a, b = self.tensors(a, b, strict=True)
        return torch.sqrt(torch.square(a.unsqueeze(-2) - b.unsqueeze(-3)).sum(-1))


BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    "matmul": (MatMul, {}), "dot": (Dot, {}), "inner": (Inner, {}), "vdot": (VDot, {}), "einsum": (Einsum, {}),
    "outer": (Outer, {}), "inv": (Linear, {"function": "inv"}),
    "det": (Linear, {"function": "det"}), "cholesky": (Cholesky, {}), "logdet": (LogDet, {}),
    "solve": (Solve, {}), "cdist": (Distances, {}),
}
