"""The ladder of a user's module, in a PyTorch worker's child: every rung's figures, the first finding and its cause."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.backends.contract import State, Weights
from harness.backends.pytorch.ports.asking import again
from harness.backends.pytorch.ports.forced import CutPass
from harness.backends.pytorch.ports.network import PortNetwork, load_object
from harness.backends.pytorch.ports.session import in_precision, open_port, weights_of_steps, whole_step
from harness.certify.certificate import FAILED, SKIPPED, Curve, Difference, Finding, Rung
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
from harness.certify.ports.mapping import PortMapping
from harness.certify.ports.parts import Part, parts_of
from harness.certify.ports.plan import PlanCheck, plan_checks
from harness.certify.ports.rules import TorchUnit
from harness.errors import SpecError
from harness.records.array_file import read_arrays
from harness.runner.certifying import Setup, distances
from harness.runner.ports.jobs import stops, teacher_arrays
from harness.runner.ports.mapped import described_port, right_mapping
from harness.runner.ports.playing import play_timed
from harness.runner.ports.timed import timed_execution
from harness.runner.ports.training import training_checks


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
        self.mapping, note = right_mapping(
            candidates, lambda candidate: self.network_of(copy.deepcopy(net), candidate), given.state.weights,
            self.teacher)
        self.notes += [note] if note else []
        self.network = self.network_of(net, self.mapping)
        self.came_with = {name: array.copy() for name, array in self.network.get_weights().items()}
        self.network.set_weights(given.state.weights)
        self.parts = parts_of(self.spec, self.mapping, self.units, self.described["calls"])

    def network_of(self, net: Any, mapping: PortMapping) -> PortNetwork:
        """The module under a mapping."""
        return PortNetwork(net, self.spec, mapping.entries, mapping.zeros,
                           layout=self.described["layout"])

    # -- the ladder

    def certify(self) -> dict[str, Any]:
        """Every rung; a rung behind a failed one is not run, but for R1 behind R0."""
        curve = timed = None
        self._rung("R0", self._plan)
        self._rung("R1", self._by_parts)
        if not self._failed():
            self._rung("R2", self._whole_step)
        if not self._failed():
            curve = self._trajectory()
        if not self._failed():
            timed = self._timed()
        for name in ("R2", "R3", "R4")[len(self.rungs) - 2:] if self._failed() else ():
            self.rungs.append(Rung(name, SKIPPED, reason="a rung before it failed"))
        from harness.backends.pytorch.backend import BACKEND

        return {"rungs": [asdict(item) for item in self.rungs], "curve": curve and asdict(curve),
                "findings": [asdict(item) for item in self.findings], "notes": self.notes,
                "names": self.mapping.to_names(), "mapping": self.mapping.to_data(),
                "layout": self.described["layout"], "outputs": dict(self.network.given_as),
                "parts": [f"{part.module}: {', '.join(part.layers)}" for part in self.parts],
                "timed": timed, "left_out": self._unbiased(), "phase": self.given.plan.name,
                "versions": BACKEND.versions()}

    def _failed(self) -> bool:
        return any(item.status == FAILED for item in self.rungs)

    def _rung(self, name: str, compare: Callable[[], Rung]) -> None:
        began = time.perf_counter()
        found = compare()
        self.rungs.append(replace(found, name=name, seconds=time.perf_counter() - began))

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

        def ask(call: str, attributes: Mapping[str, Any], *, training: bool, inputs: str | None = None) -> Weights:
            made = passes[inputs or ("forward" if training else "inference")]
            return again(made.seen[call], attributes, training=training)

        self.evidence = Evidence(self.spec, self.teacher, self._unit_of_layer(), self.given.state.weights, ask)
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

    def _trajectory(self) -> Curve:
        """R3."""
        began = time.perf_counter()
        ours = weights_of_steps(self._session(), self.start, stops(len(self.given.plan.tape)))
        curve, found = trajectory(ours, self.steps, "eager", self._unbiased(),
                                  AFTER_CONSTANTS if self.rounded else LEAST)
        self.rungs.append(replace(found, seconds=time.perf_counter() - began))
        if found.status == FAILED:
            worst = found.failed[0]
            self.findings.append(Finding("R3", self.given.plan.name, 0, "update", None, None, worst.what,
                                         worst.difference, worst.limit))
        return curve

    def _timed(self) -> dict[str, Any]:
        """R4 as it was played: the file that arguments["timed"] names is judged by the driver."""
        wanted = self.arguments["timed"]
        if self.rounded and wanted["precision"] == "float64":
            return {"failed": "Keras has a constant of gelu in float32, the port's own gelu has not", "lower": None}
        arguments = {**self.arguments, **wanted, "execution": timed_execution(wanted["precision"], wanted["compiled"])}
        return play_timed(arguments, lambda: in_precision(
            self.network, self.arguments["torch"], self.mapping.entries, wanted["precision"]))

    def own(self, name: str) -> Any:
        """The user's function of that name, None where none was given."""
        given = self.arguments.get(name)
        return load_object(given) if given else None

    def twin(self) -> PortNetwork:
        """The same port with tensors of its own."""
        return self.network_of(copy.deepcopy(self.network.net), self.mapping)
