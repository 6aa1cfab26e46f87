"""Plays a plan in PyTorch: data resident on the device, gathered by index, no host synchronisation inside
the loop over steps, the optimizer's fused kernels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from harness.backends.contract import Played, State, Weights
from harness.backends.pytorch import compilation, inference, programs, runtime, session_trace
from harness.backends.pytorch.activations import ACTIVATIONS, r32
from harness.backends.pytorch.losses import loss_function
from harness.backends.pytorch.mixed_precision import as_computed, whole
from harness.backends.pytorch.model import DTYPES, Network, build_network
from harness.backends.pytorch.optimizers import OptimizedVariable, build_optimizer
from harness.backends.pytorch.optimizers.layout import Layout
from harness.backends.pytorch.optimizers.loss_scale import LossScale
from harness.backends.pytorch.penalties import activity_penalties, penalty_function
from harness.backends.pytorch.remat import rematerialize
from harness.backends.pytorch.weights import weight_maps
from harness.plan.binding import Arrays
from harness.plan.plan import Plan, Variable
from harness.spec.execution import Execution
from harness.spec.remat import in_words


class Session:
    """One phase: see backends/contract.py."""

    data_path = "compute"
    # Programs at the last call of `compilation`.
    counted: int | None = None

    def __init__(
        self, plan: Plan, state: State, data: Arrays, execution: Execution, network: Network | None = None
    ) -> None:
        # A user's module has no dtype policies either.
        policy = runtime.policy_of(execution) if network is None else execution.dtype
        self.plan, self.remat = as_computed(plan, policy), execution.remat
        plan = self.plan
        self.device = runtime.device_of(execution)
        self.around = runtime.around(execution, self.device, policy)
        self.dtype = DTYPES[plan.dtype]
        built = build_network(plan.spec, state.weights, policy) if network is None else network
        self.model = built.to(self.device)
        self.keys = (
            self.model.use_tape(plan.stochastic, self.device, self.dtype)
            if execution.uses_tape and plan.stochastic else None
        )
        rematerialize(self.model, execution, stochastic=bool(plan.stochastic))
        self.tape_keys = torch.from_numpy(plan.tape.keys).to(self.device)
        self.variables = [_optimized(self.model, variable) for variable in plan.trainable]
        fused = execution.tier == "tuned"
        self.optimizer = build_optimizer(plan.optimizer, self.variables, plan.dtype, fused=fused)
        if execution.scales_loss:
            self.optimizer.loss_scale = LossScale(
                execution.initial_scale, execution.dynamic_growth_steps, self.device)
        self.objective = Objective(plan, self.model, self.around)
        self.program_name = programs.program_of(execution, plan)
        self.loss = programs.compiled_loss(self.program_name, self.objective)
        self.x = [torch.from_numpy(data.x[item.name]).to(self.device) for item in plan.spec.inputs]
        self.y = [_target(torch.from_numpy(data.y[output.name])).to(self.device) for output in plan.outputs]
        self.w = None if data.sample_weight is None else torch.from_numpy(data.sample_weight).to(self.device)
        self.indices = torch.from_numpy(plan.tape.indices).to(self.device)
        self.kept_losses: list[torch.Tensor] = []
        self.kept_parts: list[torch.Tensor] = []
        self.part_losses: dict[str, float] = {}
        self.kept_outputs: list[tuple[torch.Tensor, ...]] = []
        self.fused = fused
        self.program_step = programs.step_of(self.program_name, self)
        self.load(state)

    # -- training

    def train(self, start: int, stop: int) -> None:
        self.model.train()
        play = self.program_step or self._step
        for begin, end, size in self.plan.tape.runs(start, stop):
            for step, rows in enumerate(self.indices[begin:end, :size].unbind(), begin):
                play(step, rows, self.learning_rate(step))

    def learning_rate(self, step: int) -> float:
        """That of a step of the tape. Schedules count the steps of the optimizer, and none that it left out."""
        if self.optimizer.loss_scale is not None:
            step = min(self.optimizer.iterations - self.plan.first_iteration, step)
        return float(self.plan.tape.learning_rates[step])

    def batch(self, rows: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor | None]:
        """(inputs, targets, sample weights) of the examples at `rows`."""
        x = [values.index_select(0, rows) for values in self.x]
        y = [values.index_select(0, rows) for values in self.y]
        return x, y, None if self.w is None else self.w.index_select(0, rows)

    def _step(self, step: int, rows: torch.Tensor, learning_rate: float) -> None:
        if self.keys is not None:
            self.keys.copy_(self.tape_keys[step])
        self.optimizer.zero_grad()
        loss, parts, outputs = self.loss(*self.batch(rows))
        self.optimizer.scaled(loss).backward()
        self.optimizer.step(learning_rate)
        self.kept_losses.append(loss.detach())
        if parts:
            self.kept_parts.append(torch.stack([part.detach() for part in parts]))
        if self.plan.collect_outputs:
            self.kept_outputs.append(self.objective.activated(outputs))

    def replace(self, rows: np.ndarray, data: Arrays) -> None:
        # In place: a captured step reads where it read before.
        places = self._tensor(rows.astype(np.int64))
        for item, held in zip(self.plan.spec.inputs, self.x, strict=True):
            held.index_copy_(0, places, self._tensor(data.x[item.name]))
        for output, held in zip(self.plan.outputs, self.y, strict=True):
            held.index_copy_(0, places, _target(self._tensor(data.y[output.name])))

    def finish(self) -> None:
        self.optimizer.finish()

    def wait(self) -> None:
        runtime.wait(self.device)

    def collect(self) -> Played:
        losses = torch.stack(self.kept_losses).double().cpu().numpy() if self.kept_losses else np.zeros(0)
        parts = torch.stack(self.kept_parts).double().cpu().numpy() if self.kept_parts else None
        outputs = None
        if self.kept_outputs:
            outputs = tuple(torch.cat(column).cpu().numpy() for column in zip(*self.kept_outputs, strict=True))
        self.kept_losses, self.kept_outputs, self.kept_parts = [], [], []
        return Played(losses, outputs, parts)

    # -- inference

    @torch.no_grad()
    def evaluate(self, arrays: Arrays, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        self.model.eval()
        total, kept = 0.0, []
        sums = dict.fromkeys([output.name for output in self.plan.outputs], 0.0)
        for begin in range(0, len(arrays), batch_size):
            part = slice(begin, begin + batch_size)
            x = [self._tensor(arrays.x[item.name][part]) for item in self.plan.spec.inputs]
            y = [self._tensor(arrays.y[output.name][part]) for output in self.plan.outputs]
            weights = None if arrays.sample_weight is None else self._tensor(arrays.sample_weight[part])
            loss, parts, outputs = self.objective(x, y, weights)
            total += float(loss) * len(x[0])
            for name, value in zip(sums, parts, strict=False):
                sums[name] += float(value)
            kept.append(self.objective.activated(outputs))
        if len(sums) > 1:
            self.part_losses = {name: value / len(kept) for name, value in sums.items()}
        return total / len(arrays), tuple(torch.cat(column).cpu().numpy() for column in zip(*kept, strict=True))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def predict(self, x: Mapping[str, np.ndarray], batch_size: int) -> tuple[np.ndarray, ...]:
        with self.around():
            return inference.predict(self.model, x, batch_size)

    def inference(self, batch_size: int) -> Callable[[], None]:
        return inference.warmed(self.model, self.x, batch_size, self.device, idiomatic=not self.fused,
                                compiled="inductor" in self.program_name, around=self.around)

    # -- state

    def state(self) -> State:
        return State(self.model.get_weights(), self.optimizer.slots(), self.optimizer.iterations)

    def load(self, state: State) -> None:
        self.model.set_weights(state.weights)
        self.optimizer.load(state.slots, state.iterations)

    # -- for the certificate

    def readback(self) -> dict[str, np.ndarray]:
        return session_trace.readback(self)

    def trace(self, step: int) -> Weights:
        program, self.program_step = self.program_step, None
        try:
            return session_trace.trace(self, step)
        finally:
            self.program_step = program

    def forced(self, step: int, teacher: Mapping[str, np.ndarray]) -> Weights:
        return session_trace.forced(self, step, teacher)

    def compilation(self) -> dict[str, Any]:
        found = compilation.found(self, self.counted)
        self.counted = found["programs"]
        return found

    def peak_bytes(self) -> int | None:
        return runtime.peak_bytes(self.device)

    def program(self) -> str:
        words = programs.IN_WORDS[self.program_name]
        return (f"{words}, {'fused' if self.fused else 'for-each'} optimizer, data on the device"
                f"{in_words(self.plan.spec, self.remat)}")

    def close(self) -> None:
        self.program_step = None
        self.kept_losses.clear()
        self.kept_outputs.clear()


class Objective:
    """(inputs, targets, sample weights) -> (total loss with regularisation, each output's own loss, the outputs that
    have one). The losses of single outputs are left out where there is only one.

    Where Keras's loss goes back to the logits, the outputs are those logits; `activated` gives predictions. around:
    what the forward pass stands in (torch.autocast).
    """

    def __init__(
        self, plan: Plan, network: Network,
        around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.network = network
        self.around = around
        self.recovered = frozenset(plan.recovered)
        self.positions = [plan.spec.outputs.index(output.node) for output in plan.outputs]
        self.terms = [(loss_function(output.loss), output.weight, output.recovered) for output in plan.outputs]
        self.penalties = [
            (parameter, r32(l1), r32(l2))
            for variable in plan.trainable if any(variable.penalty)
            for _, parameter in network.parameters_of(variable.layer, variable.role)
            for l1, l2 in [variable.penalty]
        ]
        # Of the weights as a whole, in Keras's layout.
        self.joint_penalties = [
            (penalty_function(variable.regularizer), Layout(optimized), optimized.parameters)
            for variable in plan.trainable if variable.regularizer is not None
            for optimized in [_optimized(network, variable)]
        ]
        self.activity = activity_penalties(network)
        nodes = {node.name: node.layer for node in plan.spec.nodes}
        # Layers that are asked for what comes before their activation: position, activation, penalties of the output.
        self.bare_penalties = [
            (plan.spec.outputs.index(output.node), output.recovered,
             [penalty_function(item) for item in plan.spec.layers[nodes[output.node]].activity_penalties])
            for output in plan.outputs
            if output.recovered and plan.spec.layers[nodes[output.node]].activity_penalties
        ]

    def __call__(
        self, x: list[torch.Tensor], y: list[torch.Tensor], weights: torch.Tensor | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        if self.activity is not None:
            self.activity.start()
        with self.around():
            outputs, masks = self.network.run(x, self.recovered)
        total: torch.Tensor | None = None
        parts: list[torch.Tensor] = []
        for (function, factor, recovered), position, target in zip(self.terms, self.positions, y, strict=True):
            value = function(target, outputs[position], sample_weight=weights, mask=masks[position],
                             logits=recovered)
            parts.append(value)
            value = value if factor == 1.0 else value * factor
            total = value if total is None else total + value
        assert total is not None
        for parameter, l1, l2 in self.penalties:
            if l1:
                total = total + l1 * parameter.abs().sum()
            if l2:
                total = total + l2 * parameter.square().sum()
        for penalty, layout, parameters in self.joint_penalties:
            total = total + penalty(layout.join(parameters))
        if self.activity is not None:
            for position, activation, penalties in self.bare_penalties:
                self.activity.of_output(penalties, ACTIVATIONS[activation](outputs[position]))
            total = total + self.activity.total()
        return total, tuple(parts) if len(parts) > 1 else (), tuple(outputs[position] for position in self.positions)

    def activated(self, outputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Predictions from what the loss was computed from."""
        return tuple(
            whole(ACTIVATIONS[recovered](output.detach()) if recovered else output.detach())
            for output, (_, _, recovered) in zip(outputs, self.terms, strict=True)
        )


def _target(values: torch.Tensor) -> torch.Tensor:
    """Labels as torch's losses want them (int64), converted once and not at every step."""
    return values if values.is_floating_point() else values.long()


def _optimized(network: Network, variable: Variable) -> OptimizedVariable:
    weight_map = weight_maps(network.layer(variable.layer))[variable.role]
    parameters = tuple(parameter for _, parameter in network.parameters_of(variable.layer, variable.role))
    return OptimizedVariable(variable.name, parameters, variable.multiplier, variable.decay,
                             weight_map.to_keras, weight_map.to_torch, variable.constraint)
