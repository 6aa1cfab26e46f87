"""All planted faults by name."""

from __future__ import annotations

from tests.faults import (
    pytorch_gradients,
    pytorch_layers,
    pytorch_losses,
    pytorch_optimizers,
    pytorch_recurrent,
    sessions,
    tensorflow_layers,
    tensorflow_optimizers,
)
from tests.faults.mutant import Mutant

FAMILIES = (pytorch_layers, pytorch_recurrent, pytorch_optimizers, pytorch_gradients, pytorch_losses, sessions,
            tensorflow_layers, tensorflow_optimizers)
MUTANTS: dict[str, Mutant] = {mutant.name: mutant for family in FAMILIES for mutant in family.MUTANTS}
