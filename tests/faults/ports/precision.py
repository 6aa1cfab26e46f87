"""Hand-written ports that are Keras's in float64 and compute in less than float32 where they are trained."""

from __future__ import annotations

import torch

from tests.faults.ports.images import Exact
from tests.faults.ports.others import Bare


class Autocast(Bare):
    """Mixed precision that was left on: autocast casts nothing that is float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x).to(x.dtype)


class ThroughHalf(Exact):
    """One tensor goes through float16 where it is float32."""

    def flatten(self, x: torch.Tensor) -> torch.Tensor:
        x = super().flatten(x)
        return x.half().float() if x.dtype == torch.float32 else x


class OnlyDouble(Bare):
    """Does not train in float32 at all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x @ torch.eye(4, dtype=torch.float64))


class OtherProgram(Exact):
    """Another program once it is compiled."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (0.9 if torch.compiler.is_compiling() else 1.0)
