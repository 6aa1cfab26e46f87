"""The ladder of a user's module, in a PyTorch worker's child: every rung's figures, the first finding and its cause."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.contract import State, Weights
from harness.backends.pytorch.ports.constants import use_keras_constants
from harness.backends.pytorch.ports.description import describe
from harness.backends.pytorch.ports.dropout import Drops
from harness.backends.pytorch.ports.forced import CutPass, before_activation
from harness.backends.pytorch.ports.network import PortNetwork, build_net, load_object
from harness.backends.pytorch.ports.session import (
    configure,
    open_port,
    outputs_of,
    tensors,
    weights_of_steps,
    whole_step,
)
from harness.certify.certificate import FAILED, SKIPPED, Difference, Finding, Rung
from harness.certify.controls import one_ulp
from harness.certify.limits import CALL_LIMIT, STEP_LIMIT
from harness.certify.ports.causes import Evidence, PortCause, cause_of
from harness.certify.ports.checks import (
    AFTER_CONSTANTS,
    LEAST,
    Check,
    Comparison,
    rounds_constants,
    rung,
    step_checks,
    trajectory,
)
from harness.certify.ports.mapping import PortMapping, propose
from harness.certify.ports.names import Names
from harness.certify.ports.parts import Part, parts_of
from harness.certify.ports.plan import PlanCheck, plan_checks
from harness.certify.ports.rules import TorchUnit
from harness.errors import SpecError
from harness.records.array_file import read_arrays
from harness.runner.certifying import Setup, distances
from harness.runner.ports.jobs import stops, teacher_arrays
from harness.runner.ports.training import training_checks

# How near an assignment's outputs come to Keras's if it is the right one.
RIGHT = 1e-6
MOST_ALSO = 12


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


class Pupil:
    """One port. given: the plan, the first weights and the data, as the teacher had them."""

    def __init__(self, given: Setup, arguments: Mapping[str, Any]) -> None:
        self.given, self.arguments = given, arguments
        self.spec = given.plan.spec
        folder = Path(arguments["teacher"])
        self.teacher = teacher_arrays(given.plan, folder)
        self.steps = read_arrays(folder / "steps.npz")
        self.accept = set(arguments.get("accept") or ())
        self.notes: list[str] = []
        self.findings: list[Finding] = []
        self.rungs: list[Rung] = []
        net, self.described, self.units, candidates = described_port(
            given, arguments, [self.teacher[f"forward {item.name}"] for item in self.spec.inputs])
        self.mapping = self._chosen(net, candidates)
        self.network = self.network_of(net, self.mapping)
        self.came_with = {name: array.copy() for name, array in self.network.get_weights().items()}
        self.network.set_weights(given.state.weights)
        self.parts = parts_of(self.spec, self.mapping, self.units, self.described["calls"])

    def network_of(self, net: Any, mapping: PortMapping) -> PortNetwork:
        """The module under a mapping."""
        return PortNetwork(net, self.spec, mapping.entries, mapping.zeros,
                           layout=self.described["layout"])

    def _inputs(self, kind: str) -> list[Any]:
        return tensors([self.teacher[f"{kind} {item.name}"] for item in self.spec.inputs])

    def _chosen(self, net: Any, candidates: Sequence[PortMapping]) -> PortMapping:
        """The assignment that gives Keras's outputs, where several fit. Raises SpecError where none or more than one
        does."""
        if len(candidates) == 1:
            return candidates[0]
        right = []
        for candidate in candidates:
            network = self.network_of(copy.deepcopy(net), candidate)
            network.set_weights(self.given.state.weights)
            if self._distance(network) <= RIGHT:
                right.append(candidate)
        listed = "; ".join(item.text for item in candidates[0].ambiguities)
        if not right:
            raise SpecError(f"the mapping is ambiguous, and none of the {len(candidates)} assignments gives Keras's "
                            f"outputs: {listed}.", where="mapping", hint="Say in names.yaml (--map) which is meant.")
        self.notes.append(f"The mapping was ambiguous ({listed}); the assignment that gives Keras's outputs was taken.")
        return right[0]

    def _distance(self, network: PortNetwork) -> float:
        network.net.eval()
        found = 0.0
        for reference, y in zip(self.spec.outputs, outputs_of(network, self._inputs("inference")), strict=False):
            wanted = [self.teacher[f"inference {name}"] for name in (reference, before_activation(network, reference))
                      if name]
            far = [np.abs(y - item).max() / (np.abs(item).max() or 1.0) for item in wanted if item.shape == y.shape]
            found = max(found, float(min(far, default=np.inf)))
        return found

    # -- the ladder

    def certify(self) -> dict[str, Any]:
        """Every rung; a rung behind a failed one is not run, but for R1 behind R0."""
        curve = None
        self._rung("R0", self._plan)
        self._rung("R1", self._by_parts)
        if any(item.status == FAILED for item in self.rungs):
            self._skip("R2", "R3")
        else:
            self._rung("R2", self._whole_step)
            if self.rungs[-1].status == FAILED:
                self._skip("R3")
            else:
                began = time.perf_counter()
                left_out = self._unbiased()
                curve, found = trajectory(self._steps(), self.steps, "eager", left_out,
                                          AFTER_CONSTANTS if self.rounded else LEAST)
                self.rungs.append(replace(found, seconds=time.perf_counter() - began))
                if found.status == FAILED:
                    worst = found.failed[0]
                    self.findings.append(Finding("R3", self.given.plan.name, 0, "update", None, None, worst.what,
                                                 worst.difference, worst.limit))
        from harness.backends.pytorch.backend import BACKEND

        return {"rungs": [asdict(item) for item in self.rungs], "curve": curve and asdict(curve),
                "findings": [asdict(item) for item in self.findings], "notes": self.notes,
                "mapping": self.mapping.to_names(), "parts": [f"{part.module}: {', '.join(part.layers)}" for part in
                                                             self.parts],
                "outputs": dict(self.network.given_as), "versions": BACKEND.versions()}

    def _rung(self, name: str, compare: Callable[[], Rung]) -> None:
        began = time.perf_counter()
        found = compare()
        self.rungs.append(replace(found, name=name, seconds=time.perf_counter() - began))

    def _skip(self, *names: str) -> None:
        for name in names:
            self.rungs.append(Rung(name, SKIPPED, reason="a rung before it failed"))

    def _find(self, name: str, check: Check | PlanCheck, cause: PortCause | None) -> bool:
        """Notes a failed check; whether it counts."""
        if cause is not None and cause.key in self.accept:
            note = f"accepted: {cause.key} in {check.layer}: {cause.cause}."
            if note not in self.notes:
                self.notes.append(note)
            return False
        layer = (cause.layer if cause and cause.layer else None) or check.layer
        gap = getattr(check, "gap", None)
        self.findings.append(Finding(
            name, self.given.plan.name, 0, check.part, layer or (gap.text if gap else None), check.weight,
            check.what if gap is None else f"{check.what}, {gap.text}", check.difference.difference,
            check.difference.limit, cause.cause if cause else None, cause.mend if cause else None,
            cause.suspects if cause else ()))
        return True

    def _plan(self) -> Rung:
        checks = plan_checks(self.spec, self.mapping, self.units, self.described["drops"], self.arguments["drops"],
                             self.given.state.weights, self.came_with if self.arguments.get("own_weights") else None)
        counted = [check.difference for check in checks if check.fails and self._find("R0", check, check.cause)]
        return rung("R0", [check.difference for check in checks if not check.fails] + counted, counted)

    def _by_parts(self) -> Rung:
        checks = self._cut(self.parts)
        plain = tuple(part for part in self.parts if not part.container)
        if checks is None or (len(plain) < len(self.parts) and any(check.fails for check in checks)):
            # A module of the user's may hold more than the Keras layer whose weights are in it.
            without = self._cut(plain)
            fewer = checks is None or sum(check.fails for check in without or ()) < sum(c.fails for c in checks)
            if without is not None and fewer:
                checks, self.parts = without, plain
            else:
                checks = self._cut(self.parts)
        assert checks is not None
        self.rounded = any(check.difference.difference > CALL_LIMIT for check in checks
                           if check.gap and rounds_constants(self.spec, check.gap.chain))
        if self.rounded:
            self.notes.append("Keras has a constant of gelu in float32 in float64 training, the port's own gelu has "
                              f"not: R2 and R3 allow {AFTER_CONSTANTS:g}.")
        counted: list[Difference] = []
        met: set[str] = set()
        for check in checks:
            if not check.fails:
                continue
            place = check.gap.target if check.gap else check.layer or ""
            cause = cause_of(check, self.evidence) if place not in met or check.part == "buffer" else None
            if place in met and check.part != "buffer":
                counted.append(check.difference)
            elif self._find("R1", check, cause):
                counted.append(check.difference)
                met.add(place)
        return rung("R1", [check.difference for check in checks if not check.fails] + counted, counted)

    def _cut(self, parts: Sequence[Part]) -> list[Check] | None:
        """The checks of passes that are cut at these parts; None where such a pass is not possible."""
        recovered = frozenset(self.given.plan.recovered)
        passes = {kind: CutPass(self.network, parts, self.teacher, recovered=recovered)
                  for kind in ("inference", "forward")}
        try:
            inference = passes["inference"].inference()
            training = passes["forward"].training()
        except SpecError:
            if not any(part.container for part in parts):
                raise
            return None

        def again(call: str, attributes: Mapping[str, Any], *, training: bool, inputs: str | None = None) -> Weights:
            return passes[inputs or ("forward" if training else "inference")].again(call, attributes, training=training)

        self.evidence = Evidence(self.spec, self.teacher, self._unit_of_layer(), self.given.state.weights, again)
        return Comparison(self.spec, parts, self.teacher).checks(training, inference)

    def _unit_of_layer(self) -> dict[str, TorchUnit]:
        units = {unit.path: unit for unit in self.units}
        return {layer: units[part.module] for part in self.parts for layer in part.layers if part.module in units}

    def _unbiased(self) -> list[str]:
        """Moving variances that are accepted as they are."""
        if "unbiased variance" not in self.accept:
            return []
        return [weight.name for weight in self.spec.weights if weight.role == "moving_variance"]

    def _session(self) -> Any:
        if not hasattr(self, "_opened"):
            self._opened = open_port(self.network, self.given.plan, self.given.state, self.given.arrays,
                                     self.given.execution)
            first = self._opened.state()
            self.start = State({name: array.copy() for name, array in first.weights.items()}, first.slots,
                               first.iterations)
        return self._opened

    def _whole_step(self) -> Rung:
        session = self._session()
        ours = whole_step(session, self.start)
        moved = State(one_ulp(self.start.weights, "float64", seed=0), self.start.slots, self.start.iterations)
        ours |= distances(whole_step(session, moved), ours)
        left_out = {f"change {name}" for name in self._unbiased()}
        least = AFTER_CONSTANTS if self.rounded else STEP_LIMIT
        checks: list[Any] = [check for check in step_checks(self.spec, ours, self.teacher, least)
                             if check.what not in left_out]
        counted = []
        for check in checks:
            if check.fails and self._find("R2", check, None):
                counted.append(check.difference)
        for extra, cause in training_checks(self, session):
            checks.append(extra)
            if extra.fails and self._find("R2", extra, cause):
                counted.append(extra.difference)
        return rung("R2", [check.difference for check in checks if not check.fails] + counted, counted)

    def _steps(self) -> Weights:
        return weights_of_steps(self._session(), self.start, stops(len(self.given.plan.tape)))

    def own(self, name: str) -> Any:
        """The user's function of that name, None where none was given."""
        given = self.arguments.get(name)
        return load_object(given) if given else None

    def twin(self) -> PortNetwork:
        """The same port with tensors of its own."""
        return self.network_of(copy.deepcopy(self.network.net), self.mapping)
