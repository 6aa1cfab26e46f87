"""The PyTorch side of the contract."""

from __future__ import annotations

from typing import Any

from harness.backends.contract import Session, State, TraceRequest, Weights
from harness.backends.pytorch import model, programs, runtime, session
from harness.backends.pytorch.layers import BUILDERS
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution
from harness.spec.layers.registration import REGISTERED
from harness.spec.model import ModelSpec
from harness.spec.operations.base import Operation


class PyTorch:
    """See backends/contract.py."""

    name = "pytorch"

    def versions(self) -> dict[str, str]:
        return runtime.versions()

    def configure(self, execution: Execution) -> dict[str, Any]:
        return runtime.configure(execution)

    def conditions(self, execution: Execution) -> dict[str, Any]:
        from harness.backends.pytorch.conditions import conditions

        return conditions(execution)

    def problems(self, plan: Plan) -> list[str]:
        kinds = {type(layer) for layer in plan.spec.layers.values()}
        return [f"PyTorch has no {kind.__name__} layer." for kind in kinds
                if kind not in BUILDERS and kind not in REGISTERED and not issubclass(kind, Operation)]

    def programs(self, execution: Execution, plan: Plan) -> list[str]:
        return programs.programs(execution, plan)

    def refused_programs(self, execution: Execution, plan: Plan) -> dict[str, str]:
        return programs.refused(execution, plan)

    def build(self, spec: ModelSpec, weights: Weights, dtype: str) -> Any:
        return model.build_network(spec, weights, dtype)

    def weights_of(self, built: Any) -> Weights:
        return dict(built.get_weights())

    def set_weights(self, built: Any, weights: Weights) -> None:
        built.set_weights(weights)

    def trace(self, request: TraceRequest) -> Weights:
        from harness.backends.pytorch.trace import trace

        return trace(request)

    def open(self, plan: Plan, state: State, data: Arrays, execution: Execution) -> Session:
        if execution.tier == "idiomatic":
            from harness.backends.pytorch.idiomatic import IdiomaticSession

            return IdiomaticSession(plan, state, data, execution)
        return session.Session(plan, state, data, execution)


BACKEND = PyTorch()
