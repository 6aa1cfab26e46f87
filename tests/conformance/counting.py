"""What PyTorch's own counter (torch.utils.flop_counter) counts, where it counts a call's products once and all of them.

It is asked under settings that take the kernels apart which it does not see into, and with formulas of ours where its
own leave something out or count too much. Each of them is named here, and tests/spec/test_flops.py shows that it is
needed:

- scaled_dot_product_attention: it knows no formula of the CPU's fused kernel, and those of the GPU's count the scores
  again in the backward pass, which recomputes them. Here: the "math" kernel, made of plain products.
- LSTM, GRU and RNN: oneDNN's fused layer (float32) is one operation that it does not know. Here: oneDNN off, which
  leaves the loop over products.
- the gradient of a kernel of a convolution in groups: it counts every group's product with every other's, `groups`
  times too many (its conv_backward_flop does not look at `groups`).
- matrix by vector: no formula (aten.mv, aten.addmv).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

aten = torch.ops.aten


def convolution_backward(
    grad_shape: Any, x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, _output_padding: Any, groups: int, output_mask: Any, out_shape: Any = None, **_: Any,
) -> int:
    """The forward's count for each gradient that is asked for."""
    once = conv_flop_count(x_shape, w_shape, grad_shape, transposed)
    return int(once * (bool(output_mask[0]) + bool(output_mask[1])))


def matrix_by_vector(matrix_shape: Any, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix_shape)


def added_matrix_by_vector(_: Any, matrix_shape: Any, *__: Any, **___: Any) -> int:
    return 2 * prod(matrix_shape)


FORMULAS = {aten.convolution_backward: convolution_backward, aten.mv: matrix_by_vector,
            aten.addmv: added_matrix_by_vector}


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """Counts what is computed inside; `get_total_flops()` of what it gives is the count."""
    counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
        yield counter
