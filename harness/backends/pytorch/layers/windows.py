"""Where a sliding window starts: Keras's "same" and "causal" padding for operations that only know symmetric padding.

Shape suffixes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from harness.spec.layers.spatial import Sizes, same_padding

# (padding for the operation itself, F.pad's argument or None)
Split = tuple[Sizes, list[int] | None]


class Windows:
    """Kernel, strides, padding and dilation of a layer, one number per spatial dimension.

    `split` depends on the input's size only for padding "same" with strides; everything else is known at once.
    """

    def __init__(self, kernel: Sizes, strides: Sizes, padding: str, dilation: Sizes | None = None) -> None:
        self.kernel = kernel
        self.strides = strides
        self.padding = padding
        self.dilation = dilation or (1,) * len(kernel)
        sized = padding == "same" and max(strides) > 1
        self.fixed: Split | None = None if sized else self._split((1,) * len(kernel))

    def before_and_after(self, sizes: Sizes) -> list[tuple[int, int]]:
        """The padding of every dimension."""
        if self.padding == "valid":
            return [(0, 0)] * len(self.kernel)
        if self.padding == "causal":
            return [(d * (k - 1), 0) for k, d in zip(self.kernel, self.dilation, strict=True)]
        # With a stride of 1 the rule gives (k - 1) * d for every size.
        return [same_padding(size, k, s, d)
                for size, k, s, d in zip(sizes, self.kernel, self.strides, self.dilation, strict=True)]

    def _split(self, sizes: Sizes) -> Split:
        pads = self.before_and_after(sizes)
        if all(before == after for before, after in pads):
            return tuple(before for before, _ in pads), None
        # F.pad counts from the last dimension.
        return (0,) * len(pads), [number for pair in reversed(pads) for number in pair]

    def split(self, sizes: Sizes) -> Split:
        """How an input of these spatial sizes is padded: by the operation where the padding is symmetric."""
        return self._split(sizes) if self.fixed is None else self.fixed

    def __repr__(self) -> str:
        return f"kernel={self.kernel}, strides={self.strides}, padding={self.padding!r}, dilation={self.dilation}"


def windows_of(kernel: Sizes, strides: Sizes, padding: str, dilation: Sizes | None = None) -> Windows:
    """The windows of a layer; over steps, those of images of height 1: it goes in front."""
    front = (1,) * max(0, 2 - len(kernel))
    dilated = (*front, *dilation) if dilation and max(dilation) > 1 else None
    return Windows((*front, *kernel), (*front, *strides), padding, dilated)


def convolve(
    x_NCHW: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, windows: Windows, groups: int,
) -> torch.Tensor:
    """F.conv2d, or F.conv3d for volumes (N, C, D, H, W), with Keras's padding."""
    padding, pad = windows.fixed or windows.split(tuple(x_NCHW.shape[2:]))
    if pad is not None:
        x_NCHW = F.pad(x_NCHW, pad)
    operation = F.conv2d if x_NCHW.dim() == 4 else F.conv3d
    return operation(x_NCHW, weight, bias, windows.strides, padding, windows.dilation, groups)
