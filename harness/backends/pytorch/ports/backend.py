"""PyTorch's backend with a user's module in the place of the model: whole runs of a port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.backends.contract import Session, State
from harness.backends.pytorch.backend import PyTorch
from harness.backends.pytorch.model import DTYPES
from harness.backends.pytorch.ports.network import Place, PortNetwork, build_net
from harness.backends.pytorch.ports.session import open_port
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution


class PortBackend(PyTorch):
    """made_by: as of `build_net`. places, zeros: of the mapping. given_as: what the port's outputs are, see
    PortNetwork. compiled: whether it is trained through torch.compile. seed: of the numbers that the module itself
    draws, for its dropout among others."""

    def __init__(
        self, made_by: str, places: Sequence[Place], zeros: Sequence[str], *, layout: str, given_as: Mapping[str, str],
        compiled: bool, seed: int,
    ) -> None:
        self.made_by, self.places, self.zeros = made_by, places, zeros
        self.layout, self.given_as, self.compiled, self.seed = layout, given_as, compiled, seed

    def problems(self, plan: Plan) -> list[str]:
        """None: the layers are the user's."""
        return []

    def open(self, plan: Plan, state: State, data: Arrays, execution: Execution) -> Session:
        torch.manual_seed(self.seed)
        net = build_net(self.made_by).to(DTYPES[plan.dtype])
        network = PortNetwork(net, plan.spec, self.places, self.zeros, layout=self.layout)
        network.given_as = dict(self.given_as)
        return open_port(network, plan, state, data, execution_of_port(execution, self.compiled))


def execution_of_port(execution: Execution, compiled: bool) -> Execution:
    """The module draws its own random numbers, on the CPU, as its mapping was found."""
    fields: dict[str, Any] = {name: getattr(execution, name) for name in Execution.model_fields}
    return Execution(**{**fields, "random": "native", "device": "cpu", "compile": "inductor" if compiled else "none"})
