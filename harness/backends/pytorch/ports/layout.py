"""Tensors of a port's modules in Keras's layout and back, by the class of the module: never by what would fit.

Legend: B batch, C channels, T steps, U units, N layers times directions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from harness.backends.pytorch.ports.description import CHANNELS_FIRST, STACKED, kind_of, layout_of

Values = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Adapter:
    """How one module's inputs and outputs lie. flatten: (..., channels) of a Keras Flatten before it, where the port
    flattens channels first. sequences: whether Keras's recurrent layer gives all steps. as_is: steps stay where the
    port has them."""

    module: nn.Module
    flatten: tuple[int, ...] | None = None
    sequences: bool = True
    as_is: bool = False

    @property
    def recurrent(self) -> bool:
        return isinstance(self.module, STACKED)

    def _channels_first(self, rank: int) -> bool:
        kind = kind_of(self.module)
        if next(self.module.children(), None) is not None and not isinstance(self.module, nn.MultiheadAttention):
            return layout_of(self.module, rank) == "channels_first"
        return kind in CHANNELS_FIRST

    def _steps_first(self) -> bool:
        module = self.module
        return not self.as_is and isinstance(module, (*STACKED, nn.MultiheadAttention)) and not module.batch_first

    def into(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor in Keras's layout as the module takes it."""
        if self.flatten is not None and x.dim() == 2:
            *places, channels = self.flatten
            x = x.reshape(len(x), *places, channels).movedim(-1, 1).reshape(len(x), -1)
        if x.dim() > 2 and self._channels_first(x.dim()):
            return x.movedim(-1, 1)
        return x.transpose(0, 1) if x.dim() == 3 and self._steps_first() else x

    def back(self, y: torch.Tensor) -> torch.Tensor:
        """The inverse of `into`, for outputs and for what arrives."""
        if y.dim() > 2 and self._channels_first(y.dim()):
            return y.movedim(1, -1)
        return y.transpose(0, 1) if y.dim() == 3 and self._steps_first() else y

    def arrived(self, x: torch.Tensor) -> torch.Tensor:
        """What arrives at the module, in Keras's layout."""
        if self.flatten is not None and x.dim() == 2:
            *places, channels = self.flatten
            return x.reshape(len(x), channels, *places).movedim(1, -1).reshape(len(x), -1)
        return self.back(x)

    def positions(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], count: int) -> list[int | str]:
        """Where Keras's inputs stand among the arguments of a call."""
        if isinstance(self.module, nn.MultiheadAttention):
            # Keras takes (query, value, key).
            wanted = (("query", 0), ("value", 2), ("key", 1))[:count]
            found: list[int | str] = [name if name in kwargs else index for name, index in wanted]
            # Keras's key is its value where it is left out.
            return [*found, "key" if "key" in kwargs else 1] if count == 2 else found
        tensors: list[int | str] = [index for index, item in enumerate(args) if isinstance(item, torch.Tensor)]
        return (tensors + [name for name, item in kwargs.items() if isinstance(item, torch.Tensor)])[:count]

    def outputs(self, result: Any) -> list[torch.Tensor]:
        """A call's result as the outputs of the Keras layer: of a recurrent one [output, states ...]."""
        if not self.recurrent:
            return [self.back(result[0] if isinstance(result, tuple) else result)]
        whole, states = result
        steps = self.back(whole)
        last = steps if self.sequences else self._last(steps)
        listed = states if isinstance(states, tuple) else (states,)
        return [last, *(state[-1] for state in listed)]

    def _directions(self, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self.module.bidirectional:
            return steps, None
        size = steps.shape[-1] // 2
        return steps[..., :size], steps[..., size:]

    def _last(self, steps: torch.Tensor) -> torch.Tensor:
        there, back = self._directions(steps)
        return there[:, -1] if back is None else torch.cat((there[:, -1], back[:, 0]), -1)

    def replaced(self, result: Any, leaves: Values) -> Any:
        """A call's result with the Keras layer's outputs in it. leaves: [output, states ...], in Keras's layout."""
        if not self.recurrent:
            leaf = self.back_into(leaves[0])
            return (leaf, *result[1:]) if isinstance(result, tuple) else leaf
        whole, states = result
        steps = self._with_last(self.back(whole).detach(), leaves[0]) if not self.sequences else leaves[0]
        there, back = self._directions(steps)
        ends = [there[:, -1]] if back is None else [there[:, -1], back[:, 0]]
        listed = states if isinstance(states, tuple) else (states,)
        hidden = [*listed[0].detach().unbind(0)[: -len(ends)], *ends]
        new = [torch.stack(hidden), *(state.detach() for state in listed[1:])]
        for index, leaf in enumerate(leaves[1:]):
            new[index] = torch.cat((new[index][:-1], leaf[None]))
        output = steps.transpose(0, 1) if self._steps_first() else steps
        return output, tuple(new) if isinstance(states, tuple) else new[0]

    def _with_last(self, steps: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
        there, back = self._directions(steps)
        if back is None:
            return torch.cat((there[:, :-1], leaf[:, None]), 1)
        first, second = leaf.chunk(2, -1)
        return torch.cat((torch.cat((there[:, :-1], first[:, None]), 1),
                          torch.cat((second[:, None], back[:, 1:]), 1)), -1)

    def back_into(self, leaf: torch.Tensor) -> torch.Tensor:
        """An output in Keras's layout as the module gives it."""
        if leaf.dim() > 2 and self._channels_first(leaf.dim()):
            return leaf.movedim(-1, 1)
        return leaf.transpose(0, 1) if leaf.dim() == 3 and self._steps_first() else leaf

    def padded(self, x: torch.Tensor, arrived: torch.Size) -> torch.Tensor:
        """x (Keras's layout) with the zeros of Keras's padding "same", where the port pads before its convolution."""
        more = [there - here for there, here in zip(arrived[1:-1], x.shape[1:-1], strict=False)]
        if not kind_of(self.module).startswith("Conv") or len(arrived) != x.dim() or min(more, default=0) < 0 \
                or not any(more):
            return x
        sides = [side for size in reversed(more) for side in (size // 2, size - size // 2)]
        return functional.pad(x, (0, 0, *sides))


Step = Callable[[torch.Tensor], torch.Tensor]
