"""The training loops that are compared, one module for each way of writing one.

A module's `open_loop(workload, x, y)` gives a Loop (contenders/loops.py). Each runs in a process of its own
(`python -m benchmarks.contenders`), because no process holds two frameworks.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

TENSORFLOW, PYTORCH = "tensorflow", "pytorch"


@dataclass(frozen=True)
class Contender:
    """letter: by which the goals are named. module: of benchmarks.contenders. needs: what is imported, and what pip
    calls it where that is another name."""

    framework: str
    letter: str
    title: str
    module: str
    needs: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """What is not installed, as pip calls it."""
        return [package for module, package in self.needs.items() if importlib.util.find_spec(module) is None]


WITH_TENSORFLOW = {"tensorflow": "tensorflow", "keras": "keras"}
WITH_TORCH = {"torch": "torch"}
CONTENDERS = {
    "harness-tensorflow": Contender(TENSORFLOW, "", "the harness, tuned", "harness_loop", WITH_TENSORFLOW),
    "native-tensorflow": Contender(TENSORFLOW, "a", "the best loop by hand", "tensorflow_native", WITH_TENSORFLOW),
    "keras-fit-tensorflow": Contender(TENSORFLOW, "b", "keras.fit on TensorFlow", "keras_fit", WITH_TENSORFLOW,
                                      {"KERAS_BACKEND": "tensorflow"}),
    "harness-pytorch": Contender(PYTORCH, "", "the harness, tuned", "harness_loop", WITH_TORCH),
    "native-pytorch": Contender(PYTORCH, "a", "the best loop by hand", "pytorch_native", WITH_TORCH),
    "keras-fit-pytorch": Contender(PYTORCH, "c", "keras.fit on PyTorch", "keras_fit", {"keras": "keras", **WITH_TORCH},
                                   {"KERAS_BACKEND": "torch"}),
    "dataloader-pytorch": Contender(PYTORCH, "d", "a naive DataLoader loop", "pytorch_dataloader", WITH_TORCH),
    "lightning": Contender(PYTORCH, "e", "Lightning's Trainer", "lightning_trainer",
                           {"lightning": "lightning", **WITH_TORCH}),
    "accelerate": Contender(PYTORCH, "f", "a Hugging Face accelerate loop", "accelerate_loop",
                            {"accelerate": "accelerate", **WITH_TORCH}),
}
OWN = {TENSORFLOW: "harness-tensorflow", PYTORCH: "harness-pytorch"}
