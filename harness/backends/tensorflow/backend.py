"""The TensorFlow side of the contract."""

from __future__ import annotations

from typing import Any

import keras

from harness.backends.contract import Session, State, TraceRequest, Weights
from harness.backends.tensorflow import model, programs, runtime, session
from harness.backends.tensorflow.layers import REPLACED
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution
from harness.spec.layers.registration import REGISTERED
from harness.spec.model import ModelSpec
from harness.spec.operations.base import Operation


class TensorFlow:
    """See backends/contract.py."""

    name = "tensorflow"

    def versions(self) -> dict[str, str]:
        return runtime.versions()

    def configure(self, execution: Execution) -> dict[str, Any]:
        return runtime.configure(execution)

    def conditions(self, execution: Execution) -> dict[str, Any]:
        from harness.backends.tensorflow.conditions import conditions

        return conditions(execution)

    def problems(self, plan: Plan) -> list[str]:
        kinds = {type(layer).__name__ for layer in plan.spec.layers.values()
                 if type(layer) not in REGISTERED and type(layer) not in REPLACED and not isinstance(layer, Operation)}
        return [f"Keras has no {kind} layer." for kind in kinds if not hasattr(keras.layers, kind)]

    def programs(self, execution: Execution, plan: Plan) -> list[str]:
        return programs.programs(execution, plan)

    def refused_programs(self, execution: Execution, plan: Plan) -> dict[str, str]:
        return programs.refused(execution, plan)

    def build(self, spec: ModelSpec, weights: Weights, dtype: str) -> Any:
        return model.build_model(spec, weights, dtype)

    def weights_of(self, built: Any) -> Weights:
        return model.get_weights(built)

    def set_weights(self, built: Any, weights: Weights) -> None:
        model.set_weights(built, weights)

    def trace(self, request: TraceRequest) -> Weights:
        from harness.backends.tensorflow.trace import trace

        return trace(request)

    def open(self, plan: Plan, state: State, data: Arrays, execution: Execution) -> Session:
        if execution.tier == "idiomatic":
            from harness.backends.tensorflow.idiomatic import IdiomaticSession

            return IdiomaticSession(plan, state, data, execution)
        return session.Session(plan, state, data, execution)


BACKEND = TensorFlow()
