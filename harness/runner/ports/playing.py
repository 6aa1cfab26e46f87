"""R4 of a port is played: in the child that climbed R0 to R3, by the same player as the harness's own models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.backends.contract import Session
from harness.backends.pytorch.ports.network import PortNetwork
from harness.backends.pytorch.ports.precision import lower_precision
from harness.backends.pytorch.ports.session import open_port, tensors
from harness.errors import SpecError
from harness.runner.certifying import Setup, setup
from harness.runner.ports.timed import VARIANTS


@dataclass(frozen=True)
class PortSetup(Setup):
    """A Setup whose sessions train the user's module, the same one every time."""

    network: PortNetwork

    def open(self) -> Session:
        self.backend.configure(self.execution)
        return open_port(self.network, self.plan, self.state, self.arrays, self.execution)


def play_timed(arguments: Mapping[str, Any], make: Callable[[], PortNetwork]) -> dict[str, Any]:
    """Plays the port's training in lock-step, moved by rounding, and as it is timed. arguments: those of
    certifying.setup with the timed precision and execution, and "file". make: gives the port in that precision. Gives
    what trajectory.play does, or "failed": why, where the module does not run like this; and "lower": where it computes
    in less than that precision, or None."""
    from harness.runner.trajectory import play

    lower = None
    try:
        network, given = make(), setup(arguments)
        rows = given.plan.tape.indices[0, : int(given.plan.tape.sizes[0])]
        lower = lower_precision(network, tensors([given.arrays.x[item.name][rows] for item in given.plan.spec.inputs]))

        def with_port(changed: dict[str, Any]) -> PortSetup:
            return PortSetup(**vars(setup(changed)), network=network)

        return {**play({**arguments, "variants": VARIANTS, "timed": True}, with_port), "lower": lower}
    except Exception as error:  # whatever the user's module, or the compiler, raises
        said = error.message if isinstance(error, SpecError) else f"{type(error).__name__}: {error}"
        return {"failed": said.strip().splitlines()[0], "lower": lower}
