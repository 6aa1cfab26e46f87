"""Which tensors of a user's module hold the Keras weights: what fits by its description, and what the numbers say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.backends.contract import Weights
from harness.backends.pytorch.ports.constants import use_keras_constants
from harness.backends.pytorch.ports.description import describe
from harness.backends.pytorch.ports.dropout import Drops
from harness.backends.pytorch.ports.forced import before_activation
from harness.backends.pytorch.ports.network import PortNetwork, build_net
from harness.backends.pytorch.ports.session import configure, outputs_of, tensors
from harness.certify.ports.mapping import PortMapping, propose
from harness.certify.ports.names import Names
from harness.certify.ports.rules import TorchUnit
from harness.errors import SpecError
from harness.runner.certifying import Setup

# How near an assignment's outputs come to Keras's if it is the right one.
RIGHT = 1e-6


def described_port(
    given: Setup, arguments: Mapping[str, Any], inputs: Sequence[np.ndarray],
) -> tuple[Any, dict[str, Any], list[TorchUnit], list[PortMapping]]:
    """(the user's module, its description, its modules with tensors, the assignments that fit). Raises SpecError."""
    configure()
    drops = Drops()
    net = build_net(arguments["torch"]).double()
    drops.silence(net)
    use_keras_constants()
    first = PortNetwork(net, given.plan.spec, (), layout=arguments.get("layout") or "auto")
    layout, described = _layout(first, inputs, drops)
    described["layout"] = layout
    units = [TorchUnit.from_data(item) for item in described["units"]]
    return net, described, units, propose(given.plan.spec, units, Names.parse(arguments.get("names")))


def _layout(first: PortNetwork, inputs: Sequence[np.ndarray], drops: Drops) -> tuple[str, dict[str, Any]]:
    """(how images are handed over, the description). A forward that begins with a convolution may still turn its input
    by itself: it fails on channels first, and is then given what Keras is given. Raises SpecError."""
    turned = first.chosen_layout == "auto" and "channels_first" in first.layouts.values()
    try:
        return first.chosen_layout, describe(first.net, first.handed_over(tensors(inputs)), drops)
    except SpecError:
        if not turned:
            raise
        first.layouts = dict.fromkeys(first.layouts, "channels_last")
        with contextlib.suppress(SpecError):
            return "channels_last", describe(first.net, first.handed_over(tensors(inputs)), drops)
        raise


def right_mapping(
    candidates: Sequence[PortMapping], under: Callable[[PortMapping], PortNetwork], weights: Weights, teacher: Weights,
) -> tuple[PortMapping, str | None]:
    """(the assignment that gives Keras's outputs, a note where several fit). under: a copy of the module under an
    assignment. Raises SpecError where none gives them."""
    if len(candidates) == 1:
        return candidates[0], None
    right = []
    for candidate in candidates:
        network = under(candidate)
        network.set_weights(weights)
        if _distance(network, teacher) <= RIGHT:
            right.append(candidate)
    listed = "; ".join(item.text for item in candidates[0].ambiguities)
    if not right:
        raise SpecError(f"the mapping is ambiguous, and none of the {len(candidates)} assignments gives Keras's "
                        f"outputs: {listed}.", where="mapping", hint="Say in names.yaml (--map) which is meant.")
    return right[0], f"The mapping was ambiguous ({listed}); the assignment that gives Keras's outputs was taken."


def _distance(network: PortNetwork, teacher: Weights) -> float:
    network.net.eval()
    found = 0.0
    inputs = tensors([teacher[f"inference {item.name}"] for item in network.spec.inputs])
    for reference, y in zip(network.spec.outputs, outputs_of(network, inputs), strict=False):
        wanted = [teacher[f"inference {name}"] for name in (reference, before_activation(network, reference)) if name]
        far = [np.abs(y - item).max() / (np.abs(item).max() or 1.0) for item in wanted if item.shape == y.shape]
        found = max(found, float(min(far, default=np.inf)))
    return found
