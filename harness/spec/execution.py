"""How a training is executed: device, precision, tier, compilation, threads, determinism."""

from typing import Any, Literal

from pydantic import Field

from harness.errors import SpecError
from harness.spec.configured import Configured


class Execution(Configured):
    """Where and how a cell runs. It changes speed and rounding, never what is computed.

    device: "auto" is the first GPU if the framework sees one, else the CPU.
    tier: "tuned" (the loop inside the framework) or "idiomatic" (model.fit; a DataLoader loop).
    compile: "auto" lets the backend choose by the kind of model; "none", "xla" or "inductor" say it.
    threads: of each thread pool; 0 leaves the framework's default.
    random: "tape" draws dropout and noise from the plan, the same numbers in both frameworks;
        "native" leaves them to each framework's own generator (what the idiomatic tier does).
    """

    device: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["float32", "float64"] = "float32"
    tier: Literal["tuned", "idiomatic"] = "tuned"
    compile: Literal["auto", "none", "xla", "inductor"] = "auto"
    threads: int = Field(default=1, ge=0, le=1024)
    deterministic: bool = True
    random: Literal["auto", "tape", "native"] = "auto"

    @property
    def uses_tape(self) -> bool:
        """True if dropout and noise come from the plan."""
        return self.random == "tape" or (self.random == "auto" and self.tier == "tuned")

    @staticmethod
    def parse(value: Any) -> "Execution":
        if isinstance(value, Execution):
            return value
        if value is None:
            return Execution()
        if not isinstance(value, dict):
            raise SpecError(f"'execution' is a mapping, got {value!r}.")
        return Execution(**value)
