"""Dynamic loss scaling: Keras's LossScaleOptimizer (keras/src/optimizers/loss_scale_optimizer.py), which compile puts
around the optimizer under mixed_float16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

# The slot under which a State keeps it, and what is in it, by Keras's names.
SLOT, SCALE, COUNTER = "loss_scale", "dynamic_scale", "step_counter"


class LossScale:
    """What the loss is multiplied by. A step with a gradient that is not finite is left out, and halves it; after
    dynamic_growth_steps others in a row it doubles."""

    def __init__(self, initial_scale: float, dynamic_growth_steps: int, device: torch.device) -> None:
        # A tensor, because recorded programs read it anew at every step.
        self.scale = torch.tensor(initial_scale, dtype=torch.float32, device=device)
        self.growth_steps = dynamic_growth_steps
        self.counter = 0

    def unscaled(self, gradients: list[Tensor]) -> bool:
        """Divides the gradients in place by the scale, and changes it for the next step. False where the step is to be
        left out. Asks the device, as torch.amp.GradScaler does: a step that is left out is no step at all, not one
        that changes nothing."""
        found = torch.zeros((), dtype=torch.float32, device=self.scale.device)
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, self.scale.double().reciprocal().float())
        if found.item():
            self.counter = 0
            self.scale.mul_(0.5)
            return False
        if self.counter == self.growth_steps - 1:
            self.counter = 0
            self.scale.mul_(2.0)
        else:
            self.counter += 1
        return True

    def slot(self) -> dict[str, np.ndarray]:
        return {SCALE: self.scale.cpu().numpy().copy(), COUNTER: np.asarray(self.counter, np.int64)}

    def load(self, slot: Mapping[str, np.ndarray]) -> None:
        """The inverse of `slot`. What is absent keeps its value."""
        if SCALE in slot:
            self.scale.fill_(float(slot[SCALE]))
        if COUNTER in slot:
            self.counter = int(slot[COUNTER])
