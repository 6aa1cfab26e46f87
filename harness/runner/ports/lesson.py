"""The Keras side of a comparison with ports, worked out once, and the certificates that come of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.certify.certificate import (
    DIFFERENT,
    FAILED,
    NOT_CERTIFIED,
    PASSED,
    SAME_TO_ROUNDING,
    SKIPPED,
    Certificate,
    Curve,
    Difference,
    Finding,
    Phase,
    Rung,
)
from harness.certify.ports.names import Names
from harness.certify.ports.reference import Expanded
from harness.certify.signs import precision_sign
from harness.runner.ports.jobs import port_job
from harness.runner.ports.timed import COMPILED, UNCOMPILED, VARIANTS, judged, not_played
from harness.runner.workers import Job, Worker
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

TRAJECTORY_JOB = "harness.runner.trajectory:trajectory_job"


@dataclass
class Lesson:
    """The Keras side of a comparison: a folder with the subject and its trace. Close it, or use it as a context.

    spec, recipe: as they were given; reference: what a port is compared with. backend: which plays the teacher; the
    harness's own PyTorch model does where TensorFlow's is known to be the same.
    arguments: those of certifying.setup; taught: what the teacher's job gave. teacher, pupils: the workers of both
    sides; close: ends those that were started for it and removes the folder. port: what whole runs have to know of the
    port that was certified last.
    """

    spec: ModelSpec
    recipe: Recipe
    reference: Expanded
    folder: Path
    arguments: dict[str, Any]
    taught: dict[str, Any]
    backend: str
    seconds: float
    subject: dict[str, Any]
    teacher: Worker
    pupils: Worker
    close: Callable[[], None]
    port: dict[str, Any] = field(default_factory=dict)
    _ports: int = 0

    def __enter__(self) -> Lesson:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def certify(
        self, torch: str, *, names: Any = None, layout: str = "auto", accept: Sequence[str] = (),
        own_weights: bool = False, torch_optimizer: str | None = None, torch_loss: str | None = None,
        torch_step: str | None = None, precision: str = "float32", torch_compile: bool = False,
    ) -> Certificate:
        """The ladder of one port, R0 to R4. See `certify_port`."""
        began = time.perf_counter()
        given = Names.parse(names)
        self._ports += 1
        file = self.folder / f"port {self._ports}.npz"
        found = self.pupils.run(Job(f"{port_job.__module__}:{port_job.__name__}", {
            **self.arguments, "backend": "pytorch", "teacher": str(self.folder), "torch": torch,
            "names": names_data(given), "layout": layout, "accept": list(accept), "own_weights": own_weights,
            "drops": [list(item) for item in self.reference.drops], "optimizer": torch_optimizer, "loss": torch_loss,
            "step": torch_step,
            "timed": {"precision": precision, "compiled": torch_compile, "file": str(file)},
        })).unwrap()
        outputs = dict(zip(self.reference.spec.outputs, self.spec.outputs, strict=True))
        self.port = {"torch": torch, "mapping": found["mapping"], "layout": found["layout"], "compiled": torch_compile,
                     "outputs": {outputs[name]: given for name, given in found["outputs"].items()}}
        made = _certificate(self, torch, found)
        if found["timed"] is not None:
            own = [name for name, value in (("--torch-loss", torch_loss), ("--torch-optimizer", torch_optimizer),
                                            ("--torch-step", torch_step)) if value]
            made = self._with_timed(made, found, file, precision, torch_compile)
            if own:
                made = replace(made, notes=(*made.notes, f"R3 and R4 train with the recipe's loss and optimizer: "
                                                         f"{' and '.join(own)} {'is' if len(own) == 1 else 'are'} "
                                                         "compared in R2 alone."))
        cost = {"seconds": self.seconds + time.perf_counter() - began}
        if step := (found["timed"] or {}).get("step_seconds"):
            cost |= {"training_step_seconds": step, "steps_worth": cost["seconds"] / step}
        return replace(made, cost=cost)

    def _with_timed(
        self, made: Certificate, found: Mapping[str, Any], file: Path, precision: str, compiled: bool
    ) -> Certificate:
        """The certificate with R4 on it."""
        began = time.perf_counter()
        told, phase = found["timed"], made.phases[0]
        if "failed" in told:
            rung, curves, finding = not_played(told, precision)
        else:
            rung, curves, finding = judged(
                self._played(precision), file, told, found["phase"], self.reference.spec.layers,
                skip=found["left_out"], compiled=compiled)
        spent = sum(told.get("seconds", {}).values()) + time.perf_counter() - began
        signs = _signs((*phase.curves, *curves)) if rung.status == PASSED else ()
        notes = made.notes
        if told["lower"] and rung.status == PASSED:
            notes += (f"In {precision}, {told['lower']}: too little of it reaches the weights for R4 to see.",)
        label, reason = made.label, made.reason
        if rung.status == FAILED:
            label = DIFFERENT
        elif rung.status == SKIPPED:
            label, reason = NOT_CERTIFIED, f"R4 was not run: {rung.reason}"
        execution = {"precision": precision, "tier": "tuned", "compile": COMPILED if compiled else UNCOMPILED,
                     "device": "cpu"}
        programs = {"tensorflow": self.taught["program"], "pytorch": told.get("timed_program") or "not run"}
        phase = replace(phase, rungs=(*phase.rungs, replace(rung, seconds=spent)), curves=(*phase.curves, *curves),
                        signs=signs)
        return replace(made, label=label, reason=reason, notes=notes, phases=(phase,), finding=made.finding or finding,
                       subject={**made.subject, "precision": precision, "execution": execution,
                                "programs": programs})

    def _played(self, precision: str) -> Path:
        """The file of Keras's training in that precision, moved by rounding too; played when first asked for."""
        file = self.folder / f"timed {precision}.npz"
        if not file.is_file():
            self.teacher.run(Job(TRAJECTORY_JOB, {
                **self.arguments, "precision": precision, "file": str(file), "variants": list(VARIANTS),
                "timed": True, "execution": {"compile": UNCOMPILED, "device": "cpu"}})).unwrap()
        return file


def _certificate(lesson: Lesson, torch: str, found: Mapping[str, Any]) -> Certificate:
    """What R0 to R3 found."""
    rungs = tuple(_rung(item) for item in found["rungs"])
    owners = lesson.reference.owners
    findings = [Finding(**{**item, "suspects": tuple(item["suspects"]),
                           "layer": owners.get(item["layer"], item["layer"])}) for item in found["findings"]]
    curves = () if found["curve"] is None else (_curve(found["curve"]),)
    failed = [item for item in rungs if item.status == FAILED]
    if failed:
        label, reason = (DIFFERENT, None) if findings else (NOT_CERTIFIED, failed[0].reason)
    else:
        label, reason = SAME_TO_ROUNDING, None
    if rungs and failed:
        place = rungs.index(failed[0])
        also = [f"{item.place}: {item.cause or item.what}" for item in findings[1:]]
        rungs = (*rungs[:place], replace(failed[0], details={**failed[0].details, "also": also}),
                 *rungs[place + 1:])
    return Certificate(
        label, ("tensorflow", "pytorch"),
        {**lesson.subject, "port": torch, "precision": "float64", "mapping": found["names"],
         "parts": found["parts"], "outputs": found["outputs"]},
        (Phase("port", rungs, curves),), findings[0] if findings else None, reason,
        {**lesson.taught["versions"], **found["versions"]}, {},
        tuple(found["notes"]) + _output_notes({
            owners.get(name, name): given for name, given in found["outputs"].items()}))


def _signs(curves: Sequence[Curve]) -> tuple[str, ...]:
    """The sign of the precision: the first step's distance in both; none where float32 has no difference at all."""
    exact, rounded = ([curve.between[curve.steps.index(1)] for curve in curves if curve.dtype == dtype
                       and curve.quantity == "weights"][:1] for dtype in ("float64", "float32"))
    return (precision_sign((exact[0], rounded[0])),) if exact and rounded and rounded[0] else ()


def names_data(names: Names) -> dict[str, Any] | None:
    """A mapping of names as plain data, None for an empty one."""
    if not names.entries and not names.ignore:
        return None
    return {**{key: {"torch": list(item.torch), "transform": item.transform} for key, item in names.entries.items()},
            "ignore": list(names.ignore)}


def _output_notes(outputs: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    for name, given in outputs.items():
        if given == "logits":
            notes.append(f"The port gives the logits of {name!r}: train it with CrossEntropyLoss or "
                         "BCEWithLogitsLoss; Keras's output is after the activation.")
        else:
            notes.append(f"The port gives {name!r} after its activation, as Keras: CrossEntropyLoss or "
                         "BCEWithLogitsLoss would apply it a second time.")
    return tuple(notes)


def _rung(data: Mapping[str, Any]) -> Rung:
    return Rung(**{**data, "worst": None if data["worst"] is None else Difference(**data["worst"]),
                   "failed": tuple(Difference(**item) for item in data["failed"])})


def _curve(data: Mapping[str, Any]) -> Curve:
    return Curve(**{**data, "steps": tuple(data["steps"]), "between": tuple(data["between"]),
                    "limit": tuple(data["limit"]), "seeds": tuple(data["seeds"]),
                    "controls": {name: tuple(curve) for name, curve in data["controls"].items()}})

