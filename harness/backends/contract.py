"""The whole boundary between the harness and a framework: Backend and Session.

Arrays cross it as NumPy in Keras's layout (channels last) under canonical names ("hidden/kernel"). A
backend plays the plan; it does not time, schedule, count or log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec

Weights = dict[str, np.ndarray]


@dataclass
class State:
    """What a training leaves behind, in canonical form: both frameworks read either's.

    weights: canonical name -> array in Keras's layout. slots: optimizer slot -> variable name -> array; where the loss
    is scaled also "loss_scale" -> {"dynamic_scale", "step_counter"}, scalars. iterations: batches the optimizer has
    seen, as its schedules count them.
    """

    weights: Weights
    slots: dict[str, Weights] = field(default_factory=dict)
    iterations: int = 0


@dataclass
class Played:
    """What steps [start, stop) gave: losses [steps], before each step's update, regularisation included;
    outputs: per output the training-mode predictions of every example, in the tape's order, or None; parts [steps,
    outputs]: the loss of each of several outputs, its factor left out, or None."""

    losses: np.ndarray
    outputs: tuple[np.ndarray, ...] | None
    parts: np.ndarray | None = None


@dataclass(frozen=True)
class TraceRequest:
    """One pass through a model in inference mode, and one forward and backward in training mode.

    spec: its outputs are the tensors that are looked at; `differentiated` those that the scalar is made of,
    sum(tensor * cotangent(reference, shape)). keys: int32 [stochastic calls, 2], the random keys of the training
    pass. keep: (name, array) -> what is kept of it.
    """

    spec: ModelSpec
    differentiated: tuple[str, ...]
    weights: Weights
    inputs: Mapping[str, np.ndarray]
    dtype: str
    stochastic: tuple[str, ...]
    keys: np.ndarray
    cotangent: Callable[[str, tuple[int, ...]], np.ndarray]
    keep: Callable[[str, np.ndarray], np.ndarray]


class Session(Protocol):
    """One phase of one training, on one device."""

    model: Any

    def train(self, start: int, stop: int) -> None:
        """Plays the steps [start, stop) of the tape in as few calls into the framework as possible; nothing
        is read back. `train(t, t + 1)` is lock-step."""

    def replace(self, rows: np.ndarray, data: Arrays) -> None:
        """Exchanges examples on the device, so that the next steps are played with what could not be known before
        (a game's moves). rows: int [n], each once; data: n examples, without sample weights, in the types of those that
        the session was opened with. Of the tuned tier only."""

    def finish(self) -> None:
        """What Keras's fit does after the last step: moving averages take the weights' place. Called once, and
        only for an optimizer that keeps them."""

    def wait(self) -> None:
        """The device barrier: returns when all that was asked for is done."""

    def collect(self) -> Played:
        """The losses (and outputs) of all steps played since the last call."""

    # The loss of each output in the last `evaluate`, its factor left out, as the mean over the batches (as
    # Keras logs it); empty for a model with one output.
    part_losses: dict[str, float]

    def evaluate(self, arrays: Arrays, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        """(mean loss with regularisation, outputs) in inference mode."""

    def predict(self, x: Mapping[str, np.ndarray], batch_size: int) -> tuple[np.ndarray, ...]:
        """The outputs in inference mode."""

    def inference(self, batch_size: int) -> Callable[[], None]:
        """A warm, compiled call that answers for `batch_size` examples in inference mode, as it would be served: from
        arrays on the host to arrays on the host. It returns when they are there."""

    def state(self) -> State:
        """Weights, optimizer slots and iterations, in canonical form."""

    def load(self, state: State) -> None:
        """The inverse of `state`; slots may be empty (a fresh optimizer)."""

    # -- for the certificate (harness/certify): uncompiled, eager, one pass at a time. Arrays come by name, in Keras's
    # layout; REFERENCE is a tensor ("conv", "lstm:1"), WEIGHT a canonical name ("conv/kernel").

    def readback(self) -> dict[str, np.ndarray]:
        """What this session is about to play, read from its own objects, not from the plan.

        "indices" int [steps, batch] (-1 beyond the end of a partial batch), "learning_rates" float64 [steps],
        "keys" int32 [steps, calls, 2] ([steps, 0, 2] where no tape is used), "multiplier WEIGHT" (scalar) for every
        weight that the optimizer updates, "setting NAME" (scalar) for each number of the optimizer that it will use,
        by the name of Keras's argument ("epsilon", "momentum", "beta_1").
        """

    def trace(self, step: int) -> Weights:
        """Plays a step of the tape as `train(step, step + 1)` does, and tells all of it.

        First, with the weights before the step: "inference REFERENCE" of every call's outputs, in inference mode.
        Then of the step: "data x INPUT", "data y OUTPUT", "data sample_weight" as gathered; "learning rate" as used;
        "random CALL NUMBER" int32, flat: the random bits that a call drew, one array per draw, by their streams;
        "forward REFERENCE" in training mode (an output whose loss is computed from its logits: after its activation,
        as in Keras); "loss part OUTPUT", "loss" (total, regularisation included);
        "gradient REFERENCE" of the total loss by every floating-point tensor that a call made or the model was fed,
        zeros where it does not reach; "weight gradient WEIGHT" as they come from the loss, before clipping;
        after the update: "slot SLOT WEIGHT", "weight WEIGHT" (trainable ones), "state WEIGHT" (all other weights),
        "iterations".
        """

    def forced(self, step: int, teacher: Mapping[str, np.ndarray]) -> Weights:
        """Each call by itself, with the teacher's tensors and gradients: nothing that one call gets wrong reaches the
        next. Weights and slots are left as they were.

        teacher: "forward REFERENCE" of every tensor (the model's inputs as well), "gradient REFERENCE" of every
        floating-point one. The keys are those of the step. Gives "inference REFERENCE" (in inference mode, from the
        same inputs), "output REFERENCE" (training mode), "input gradient CALL INDEX" of each floating-point tensor
        of a call's `Node.inputs` (by position), "weight gradient WEIGHT" (summed over the calls of a shared layer;
        of the forced scalar sum(output * gradient), without penalties), "state WEIGHT" after the training pass.
        """

    # Where a step's examples come from: "compute" (resident on the device, gathered by index) or "end_to_end" (the
    # framework's own loader).
    data_path: str

    def compilation(self) -> dict[str, Any]:
        """What was really made of the steps played so far, by the framework's own counters.

        "compiler": "none" (eager), "graph", "xla", "inductor", "capture" or "cuda graph"; "wanted": what this session
        was built to be; "programs": compiled so far; "recompiles": those since the last call of this function (call it
        when warm-up is over; 0 at the first); "graph_breaks", "seconds": None where nobody counts them; "fallback": in
        words, what runs without the compiler though it was meant to be compiled, or None.
        """

    def peak_bytes(self) -> int | None:
        """Peak of the framework's allocator, None where it has no counter (CPU)."""

    def program(self) -> str:
        """What was really run, in words: "XLA loop", "eager, fused Adam"."""

    def close(self) -> None:
        """Frees the device."""


class Backend(Protocol):
    """A framework. Each module harness/backends/<name>/__init__.py has these functions."""

    name: str

    def versions(self) -> dict[str, str]: ...

    def configure(self, execution: Execution) -> dict[str, Any]:
        """Sets threads, precision and determinism for this process, and returns what was read back."""

    def conditions(self, execution: Execution) -> dict[str, Any]:
        """Under what this process computes, after `configure`: read back from the framework, the precision probed by
        computing (backends/probes.py), the threads by the CPU time of each (backends/process.py).

        {"backend", "device": "cpu" | "gpu:0 NVIDIA ...", "precision": {"wanted", "matmul", "matmul_error",
        "convolution", "convolution_error", "switches": {...}}, "threads": {"wanted", "intra", "inter", "openmp",
        "mkl", "parallelism", "affinity"}, "determinism", "allocator": {"growth"}, "compile": {"wanted", "active"},
        "remat": {"wanted", "recomputes"}, "environment"}. None where there is nothing of the kind, or nobody says.
        measure/parity.py judges it.
        """

    def problems(self, plan: Plan) -> list[str]:
        """In plain sentences, what of this plan the backend cannot do."""

    def programs(self, execution: Execution, plan: Plan) -> list[str]:
        """Which programs of the tuned tier (spec/execution.py: PROGRAMS) can be tried for this plan on this device,
        in the order in which they are tried; the first one compiles least. Called after `configure`."""

    def refused_programs(self, execution: Execution, plan: Plan) -> dict[str, str]:
        """Why each of the others is left out, by name."""

    def build(self, spec: ModelSpec, weights: Weights, dtype: str) -> Any:
        """The native model with stock layers: a keras.Model or a torch.nn.Module. dtype: also one of Keras's mixed
        policies."""

    def weights_of(self, model: Any) -> Weights:
        """The canonical weights of a model that `build` or a session made."""

    def set_weights(self, model: Any, weights: Weights) -> None:
        """Loads canonical weights into such a model."""

    def trace(self, request: TraceRequest) -> Weights:
        """Arrays by name: "inference REFERENCE" and "training REFERENCE" of every output of the spec, "gradient
        REFERENCE" of the outputs and inputs that have one, "weight gradient NAME", "weight after NAME" of the
        weights that no optimizer touches."""

    def open(self, plan: Plan, state: State, data: Arrays, execution: Execution) -> Session:
        """A session that stands before the plan's first step."""
