"""A user's own loss, optimizer and training step beside the plan's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from harness.backends.contract import State, Weights
from harness.backends.pytorch.ports.description import run
from harness.backends.pytorch.ports.network import PortNetwork
from harness.backends.pytorch.session import Session
from harness.errors import SpecError
from harness.plan.randomness import generator

# The size of the gradients that optimizers are fed: small enough for an epsilon to be seen.
SIZE = 1e-3
# Keras's argument -> the key in torch's parameter groups.
GROUP_KEYS = {"epsilon": "eps", "momentum": "momentum", "rho": "alpha", "weight_decay": "weight_decay",
              "nesterov": "nesterov", "amsgrad": "amsgrad", "centered": "centered"}


def compare_optimizers(
    session: Session, state: State, other: PortNetwork, make_optimizer: Callable[..., torch.optim.Optimizer],
    steps: int,
) -> tuple[Weights, dict[str, Any]]:
    """(the largest difference of each weight after each step, relative to how far it had moved: "STEP WEIGHT"; the
    user's optimizer as plain data).

    The user's optimizer and the plan's are fed the same gradients, drawn from a seed.
    """
    session.load(state)
    other.set_weights(state.weights)
    optimizer = make_optimizer([item for item in other.net.parameters() if item.requires_grad])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise SpecError(f"the function gives {type(optimizer).__name__}, not a torch.optim.Optimizer.",
                        where="--torch-optimizer", hint="It is called with the module's parameters.")
    network: Any = session.model
    found: Weights = {}
    for step in range(steps):
        optimizer.zero_grad()
        session.optimizer.zero_grad()
        for variable in session.plan.trainable:
            gradient = generator(0, "gradient", variable.name, step).standard_normal(variable.shape) * SIZE
            for target in (network, other):
                _give(target, variable, gradient)
        session.optimizer.step(session.learning_rate(step))
        optimizer.step()
        ours, theirs = other.get_weights(), network.get_weights()
        for variable in session.plan.trainable:
            name = variable.name
            moved = float(np.abs(theirs[name] - state.weights[name]).max(initial=0.0)) or 1.0
            found[f"{step + 1} {name}"] = np.array(np.abs(ours[name] - theirs[name]).max(initial=0.0) / moved)
    session.load(state)
    group = optimizer.param_groups[0]
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in group.items()
             if isinstance(value, (bool, int, float, tuple, type(None)))}
    return found, {"class": type(optimizer).__name__, "settings": plain}


def _give(network: PortNetwork, variable: Any, gradient: np.ndarray) -> None:
    """Puts a gradient (Keras's layout) where backward would put it."""
    view = network.views[variable.layer]
    item = view.keras_weights[variable.role]
    for path, piece in zip(item.tensors, item.to_torch(gradient), strict=True):
        parameter = dict(view.named_parameters())[path]
        parameter.grad = torch.from_numpy(np.ascontiguousarray(piece))
        if path in view.slices:
            whole, (start, stop) = view.slices[path]
            if whole.grad is None:
                whole.grad = torch.zeros_like(whole)
            whole.grad[start:stop] = parameter.grad


def compare_losses(session: Session, state: State, loss: Callable[..., Any]) -> dict[str, float]:
    """"ours": the plan's loss of the first batch, "theirs": the user's of the port's output, and what theirs would be
    of logits, "of logits", and of probabilities, "of probabilities"."""
    session.load(state)
    network: Any = session.model
    network.train()
    x, y, _ = session.batch(session.indices[0, : int(session.plan.tape.sizes[0])])
    with torch.no_grad():
        own = _plain_loss(session, x, y)
        reference = network.spec.outputs[0]
        given = run(network.net, network.handed_over(x))[0]
        found = {"ours": own, "theirs": float(loss(given, y[0]))}
        if session.plan.recovered:
            logits = network.as_wanted(reference, given, True) if network.given_as.get(reference) != "logits" else given
            found["of logits"] = float(loss(logits, y[0]))
            found["of probabilities"] = float(loss(network.as_wanted(reference, given, False), y[0]))
        else:
            found["of probabilities"] = float(loss(torch.softmax(given, -1), y[0]))
    session.load(state)
    return found


def _plain_loss(session: Session, x: list[torch.Tensor], y: list[torch.Tensor]) -> float:
    objective = session.objective
    network: Any = session.model
    outputs, masks = network.run(x, objective.recovered)
    total = 0.0
    for (function, weight, recovered), position, target in zip(objective.terms, objective.positions, y, strict=True):
        total += weight * float(function(target, outputs[position], sample_weight=None, mask=masks[position],
                                         logits=recovered))
    return total


class Watching(torch.optim.SGD):
    """An optimizer that leaves the weights alone and notes what it is called for."""

    def __init__(self, parameters: Any, network: PortNetwork) -> None:
        super().__init__(parameters, lr=0.0)
        self.network = network
        self.seen: list[tuple[dict[str, np.ndarray], bool]] = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's, and for the parts of tensors too."""
        _clear(self.network)

    def step(self, closure: Any = None) -> Any:
        """Notes the gradients and whether the module is in training mode."""
        loss = None if closure is None else closure()
        self.seen.append((gradients_of(self.network), self.network.net.training))
        return loss


def gradients_of(network: PortNetwork) -> dict[str, np.ndarray]:
    """Canonical weight -> its gradient as it stands in the port."""
    found = {}
    for weight in network.spec.weights:
        if not weight.trainable:
            continue
        view = network.views[weight.layer]
        item = view.keras_weights[weight.role]
        pieces = []
        for path in item.tensors:
            parameter = dict(view.named_parameters())[path]
            pieces.append(np.zeros(tuple(parameter.shape)) if parameter.grad is None
                          else parameter.grad.detach().numpy().copy())
        found[weight.name] = np.array(item.to_keras(tuple(pieces)))
    return found


def watch_step(session: Session, state: State, step: Callable[..., Any]) -> dict[str, Any]:
    """What a user's `step(net, optimizer, x, y)` does with the first two batches, its module left in inference mode
    before. Gives "calls" (of optimizer.step, for each batch), "training" (the module's mode then), and the gradients:
    "first", "second" as the optimizer saw them, "own first", "own second" as the plan's loss gives them."""
    session.load(state)
    network: Any = session.model
    own, batches = [], []
    for index in range(2):
        rows = session.indices[index, : int(session.plan.tape.sizes[index])]
        x, y, weights = session.batch(rows)
        network.train()
        session.optimizer.zero_grad()
        _clear(network)
        session.objective(x, y, weights)[0].backward()
        own.append(gradients_of(network))
        batches.append((network.handed_over(x), y))
        session.load(state)
    _clear(network)
    network.net.eval()
    watching = Watching(network.net.parameters(), network)
    network.net.zero_grad = watching.zero_grad
    counts = []
    for handed, y in batches:
        before = len(watching.seen)
        step(network.net, watching, handed[0] if len(handed) == 1 else handed, y[0] if len(y) == 1 else y)
        counts.append(len(watching.seen) - before)
    del network.net.zero_grad
    session.load(state)
    _clear(network)
    if 0 in counts:
        return {"calls": counts, "training": [], "first": {}, "second": {}, "own first": own[0], "own second": own[1]}
    return {"calls": counts, "training": [mode for _, mode in watching.seen], "first": watching.seen[0][0],
            "second": watching.seen[counts[0]][0], "own first": own[0], "own second": own[1]}


def _clear(network: PortNetwork) -> None:
    for parameter in (*network.parameters(), *(item for view in network.views.values() for item in view.parameters())):
        parameter.grad = None


def setting_differences(optimizer: Any, theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(Keras's argument, Keras's value, torch's value) of those settings that differ."""
    settings = theirs["settings"]
    found = []
    for argument, key in GROUP_KEYS.items():
        if key not in settings or not hasattr(optimizer, argument):
            continue
        given, held = getattr(optimizer, argument), settings[key]
        if isinstance(given, (bool, int, float, type(None))) and float(given or 0) != float(held or 0):
            found.append((argument, given, held))
    for index, argument in enumerate(("beta_1", "beta_2")):
        betas = settings.get("betas")
        if betas and hasattr(optimizer, argument) and getattr(optimizer, argument) != betas[index]:
            found.append((argument, getattr(optimizer, argument), betas[index]))
    rate = optimizer.learning_rate
    if isinstance(rate, (int, float)) and settings.get("lr") is not None and float(rate) != float(settings["lr"]):
        found.insert(0, ("learning_rate", rate, settings["lr"]))
    return found
