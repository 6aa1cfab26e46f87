"""A session on a user's module: one step told in full, and the weights of many."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from harness.backends.contract import State, Weights
from harness.backends.pytorch.mixed_precision import variable_dtype
from harness.backends.pytorch.model import DTYPES
from harness.backends.pytorch.ports.description import run
from harness.backends.pytorch.ports.dropout import Drops
from harness.backends.pytorch.ports.network import Place, PortNetwork, build_net
from harness.backends.pytorch.session import Session
from harness.plan.binding import Arrays
from harness.plan.plan import Plan
from harness.spec.execution import Execution


def open_port(network: PortNetwork, plan: Plan, state: State, data: Arrays, execution: Execution) -> Session:
    """A session that trains the port on the plan's tape, with the plan's loss and optimizer."""
    network.set_weights(state.weights)
    return Session(plan, state, data, execution, network=network)  # type: ignore[arg-type]


def whole_step(session: Session, state: State, step: int = 0) -> Weights:
    """"loss", "weight gradient WEIGHT", "slot SLOT WEIGHT", "change WEIGHT", "iterations" of one step from `state`."""
    network: Any = session.model
    session.load(state)
    before = {name: array.copy() for name, array in network.get_weights().items()}
    buffers = {name: tensor.clone() for name, tensor in network.net.named_buffers()}
    network.train()
    session.optimizer.zero_grad()
    rows = session.indices[step, : int(session.plan.tape.sizes[step])]
    loss, _, _ = session.objective(*session.batch(rows))
    loss.backward()
    found: Weights = {"loss": np.array(float(loss))}
    for variable in session.plan.trainable:
        item = network.layer(variable.layer).keras_weights[variable.role]
        pieces = tuple(parameter for _, parameter in network.parameters_of(variable.layer, variable.role))
        found[f"weight gradient {variable.name}"] = np.array(item.to_keras(tuple(
            np.zeros(tuple(piece.shape)) if piece.grad is None else piece.grad.detach().numpy().copy()
            for piece in pieces)))
    for name, tensor in network.net.named_buffers():
        tensor.data.copy_(buffers[name])
    session.train(step, step + 1)
    session.collect()
    after = session.state()
    for slot, arrays in after.slots.items():
        found |= {f"slot {slot} {name}": np.array(array) for name, array in arrays.items()}
    found |= {f"change {name}": array - before[name] for name, array in after.weights.items()
              if array.dtype.kind == "f"}
    found["iterations"] = np.array(after.iterations)
    session.load(state)
    return found


def weights_of_steps(session: Session, state: State, steps: Sequence[int]) -> Weights:
    """"STEP WEIGHT": the weights after so many steps, each from the beginning."""
    session.load(state)
    found: Weights = {}
    played = 0
    for stop in steps:
        session.train(played, stop)
        session.collect()
        found |= {f"{stop} {name}": np.array(array) for name, array in session.state().weights.items()}
        played = stop
    return found


def configure(precision: str = "float64") -> None:
    """One precision everywhere, one thread: a module that makes tensors of its own makes them in the one compared."""
    torch.set_default_dtype(DTYPES[precision])
    torch.set_num_threads(1)


def in_precision(network: PortNetwork, made_by: str, places: Sequence[Place], precision: str) -> PortNetwork:
    """The same port, built anew in another precision: tensors that a module makes as it is built or as it runs, and
    keeps to itself, are of that precision too. made_by: as of `build_net`. The process is configured for it."""
    kind = variable_dtype(precision)  # mixed precision is torch.autocast around the module, its weights are float32
    configure(kind)
    net = build_net(made_by)
    net = copy.deepcopy(net) if net is network.net else net
    net.load_state_dict(network.net.state_dict())
    net = net.to(DTYPES[kind])
    Drops().silence(net)
    made = PortNetwork(net, network.spec, places, network.zeros, layout=network.chosen_layout)
    made.given_as = dict(network.given_as)
    return made


def tensors(arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Arrays as tensors of their own."""
    return [torch.from_numpy(np.array(array)) for array in arrays]


@torch.no_grad()
def outputs_of(network: PortNetwork, inputs: Sequence[torch.Tensor]) -> list[np.ndarray]:
    """What the port gives, in Keras's layout."""
    return [output.numpy() for output in network.taken_back(run(network.net, network.handed_over(inputs)))]
