"""TensorFlow's projective transform of images in PyTorch (tensorflow/core/kernels/image/image_ops.h), to the bit.

Places are computed in float32 whatever the images' type, and so are the interpolated values.
Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

from typing import Any

import torch


def _reflected(place: torch.Tensor, size: int) -> torch.Tensor:
    """dcba|abcd|dcba."""
    double = 2 * size
    below = torch.where(place < double, double * torch.trunc(-place / double) + place, place)
    below = torch.where(below < -size, below + double, -below - 1)
    above = place - double * torch.trunc(place / double)
    above = torch.where(above >= size, double - above - 1, above)
    inside = torch.where(place > size - 1, above, place)
    return torch.where(place < 0, below, inside) if size > 1 else torch.zeros_like(place)


def _wrapped(place: torch.Tensor, size: int) -> torch.Tensor:
    """abcd|abcd|abcd, at a distance that counts the steps between pixels."""
    if size <= 1:
        return torch.zeros_like(place)
    below = place + size * (torch.trunc(-place / (size - 1)) + 1)
    above = place - size * torch.trunc(place / (size - 1))
    return torch.where(place < 0, below, torch.where(place > size - 1, above, place))


def _mapped(place: torch.Tensor, size: int, fill_mode: str) -> torch.Tensor:
    """Where to read along one axis."""
    if fill_mode == "constant":
        return place
    if fill_mode == "reflect":
        place = _reflected(place, size)
    elif fill_mode == "wrap":
        place = _wrapped(place, size)
    return place.clamp(0, size - 1)


def _read(x_NHWC: torch.Tensor, row_NHW: torch.Tensor, column_NHW: torch.Tensor, fill_value: float) -> torch.Tensor:
    """The pixels at whole places, fill_value beyond the image."""
    count, height, width, _ = x_NHWC.shape
    inside = (row_NHW >= 0) & (row_NHW < height) & (column_NHW >= 0) & (column_NHW < width)
    rows, columns = row_NHW.clamp(0, height - 1).long(), column_NHW.clamp(0, width - 1).long()
    taken = x_NHWC[torch.arange(count, device=x_NHWC.device)[:, None, None], rows, columns]
    return torch.where(inside[..., None], taken, fill_value)


def _nearest(x: torch.Tensor, row: torch.Tensor, column: torch.Tensor, fill_value: float) -> torch.Tensor:
    """Halves are rounded away from zero, as in C."""
    rounded = [torch.sign(place) * torch.floor(place.abs() + 0.5) for place in (row, column)]
    return _read(x, rounded[0], rounded[1], fill_value)


def _bilinear(x: torch.Tensor, row: torch.Tensor, column: torch.Tensor, fill_value: float) -> torch.Tensor:
    single = x.to(torch.float32)
    top, left = torch.floor(row), torch.floor(column)
    bottom, right = top + 1, left + 1
    to_left, to_right = (column - left)[..., None], (right - column)[..., None]
    upper = to_right * _read(single, top, left, fill_value) + to_left * _read(single, top, right, fill_value)
    lower = to_right * _read(single, bottom, left, fill_value) + to_left * _read(single, bottom, right, fill_value)
    return ((bottom - row)[..., None] * upper + (row - top)[..., None] * lower).to(x.dtype)


def warped(
    x_NHWC: torch.Tensor, transform_N8: torch.Tensor, interpolation: str, fill_mode: str, fill_value: float
) -> torch.Tensor:
    """Each image read at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1."""
    height, width = x_NHWC.shape[1:3]
    a0, a1, a2, b0, b1, b2, c0, c1 = transform_N8.to(torch.float32)[:, :, None, None].unbind(1)
    x = torch.arange(width, dtype=torch.float32, device=x_NHWC.device)
    y = torch.arange(height, dtype=torch.float32, device=x_NHWC.device)[:, None]
    scale = c0 * x + c1 * y + 1.0
    column = _mapped((a0 * x + a1 * y + a2) / scale, width, fill_mode)
    row = _mapped((b0 * x + b1 * y + b2) / scale, height, fill_mode)
    result = (_nearest if interpolation == "nearest" else _bilinear)(x_NHWC, row, column, fill_value)
    return torch.where((scale == 0)[..., None], fill_value, result)


class Warp(torch.autograd.Function):
    """`warped` with TensorFlow's gradient: the gradient warped back by the inverse transform.

    That is not the derivative of what goes forward, but what Keras trains with.
    """

    @staticmethod
    def forward(
        context: Any, x_NHWC: torch.Tensor, transform_N8: torch.Tensor, interpolation: str, fill_mode: str,
        fill_value: float,
    ) -> torch.Tensor:
        context.save_for_backward(transform_N8)
        context.modes = (interpolation, fill_mode)
        return warped(x_NHWC, transform_N8, interpolation, fill_mode, fill_value)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (transform_N8,) = context.saved_tensors
        last = torch.ones_like(transform_N8[:, :1])
        matrix = torch.cat([transform_N8, last], 1).to(torch.float32).reshape(-1, 3, 3)
        inverse = torch.linalg.inv(matrix).reshape(-1, 9)
        inverse = (inverse / inverse[:, 8:])[:, :8]
        interpolation, fill_mode = context.modes
        return warped(gradients[0], inverse, interpolation, fill_mode, 0.0), None, None, None, None


def warp(
    x_NHWC: torch.Tensor, transform_N8: torch.Tensor, interpolation: str, fill_mode: str, fill_value: float
) -> torch.Tensor:
    """Images of any floating type warped; see `warped`."""
    y: torch.Tensor = Warp.apply(x_NHWC, transform_N8, interpolation, fill_mode, fill_value)
    return y


def homography(start_N42: torch.Tensor, end_N42: torch.Tensor) -> torch.Tensor:
    """[N, 8] float32: the transform that takes the end points (x, y) to the start points; solved in float64."""
    x, y = end_N42.to(torch.float64).unbind(-1)
    u, v = start_N42.to(torch.float64).unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for_x = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    for_y = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    matrix = torch.stack([for_x, for_y], 2).reshape(-1, 8, 8)
    target = torch.stack([u, v], 2).reshape(-1, 8, 1)
    return torch.linalg.solve(matrix, target).squeeze(-1).to(torch.float32)
