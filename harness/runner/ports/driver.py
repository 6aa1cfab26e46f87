"""harness.certify_port: a user's hand-written PyTorch module against their Keras model, rung by rung.

Keras runs in a TensorFlow worker's child, the module in a PyTorch worker's: each sees the same weights, batches and
gradients. The Keras side is worked out once (`Lesson`) and may teach many ports.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.backends.contract import State
from harness.certify.certificate import (
    DIFFERENT,
    FAILED,
    NOT_CERTIFIED,
    SAME_TO_ROUNDING,
    Certificate,
    Curve,
    Difference,
    Finding,
    Phase,
    Rung,
)
from harness.certify.ports.names import Names
from harness.certify.ports.reference import Expanded, expand
from harness.runner.certifying import write_subject
from harness.runner.ports.jobs import mapping_job, port_job, teacher_job
from harness.runner.ports.subject import dataset_of, moved_constants, read_keras, recipe_of
from harness.runner.workers import Job, Worker

BATCH, STEPS = 8, 50


@dataclass
class Lesson:
    """The Keras side of a comparison: a folder with the subject and its trace. Close it, or use it as a context.

    backend: which plays the teacher; the harness's own PyTorch model does where TensorFlow's is known to be the same.
    """

    reference: Expanded
    folder: Path
    digest: str
    arguments: dict[str, Any]
    taught: dict[str, Any]
    backend: str
    seconds: float
    _owned: tempfile.TemporaryDirectory[str]
    _pupils: Worker
    subject: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Lesson:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the PyTorch worker and removes the folder."""
        self._pupils.close()
        self._owned.cleanup()

    def certify(
        self, torch: str, *, names: Any = None, layout: str = "auto", accept: Sequence[str] = (),
        own_weights: bool = False, torch_optimizer: str | None = None, torch_loss: str | None = None,
        torch_step: str | None = None,
    ) -> Certificate:
        """The ladder of one port. See `certify_port`."""
        began = time.perf_counter()
        given = Names.parse(names)
        found = self._pupils.run(Job(f"{port_job.__module__}:{port_job.__name__}", {
            **self.arguments, "backend": "pytorch", "teacher": str(self.folder), "torch": torch,
            "names": _names_data(given), "layout": layout, "accept": list(accept), "own_weights": own_weights,
            "drops": [list(item) for item in self.reference.drops], "optimizer": torch_optimizer, "loss": torch_loss,
            "step": torch_step,
        })).unwrap()
        return self._certificate(torch, found, self.seconds + time.perf_counter() - began)

    def _certificate(self, torch: str, found: Mapping[str, Any], seconds: float) -> Certificate:
        rungs = tuple(_rung(item) for item in found["rungs"])
        owners = self.reference.owners
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
            {**self.subject, "port": torch, "precision": "float64", "mapping": found["mapping"],
             "parts": found["parts"], "outputs": found["outputs"]},
            (Phase("port", rungs, curves),), findings[0] if findings else None, reason,
            {**self.taught["versions"], **found["versions"]}, {"seconds": seconds},
            tuple(found["notes"]) + _output_notes({
                owners.get(name, name): given for name, given in found["outputs"].items()}))


def certify_port(
    keras: Any, torch: str, names: Any = None, *, recipe: Any = None, data: Any = None, layout: str = "auto",
    accept: Sequence[str] = (), own_weights: bool = False, torch_optimizer: str | None = None,
    torch_loss: str | None = None, torch_step: str | None = None, seed: int = 0, steps: int = STEPS,
    batch: int = BATCH,
) -> Certificate:
    """Compares a hand-written torch.nn.Module with a Keras model and names the first part that differs, and why.

    keras: a .keras or .h5 file, a live Keras model, a ModelSpec or a library model. torch: "package.module:build_net"
    or "file.py:build_net", a function without arguments, a Module class or a module. names: a mapping of weights
    (names.yaml, or a dict), proposed where None. recipe, data: as of `harness.train`; by default Adam, the loss that
    the last activation asks for, and random examples. layout: "channels_first", "channels_last" or "auto": how images
    are handed over. accept: keys of causes that are not held against the port ("unbiased variance"). own_weights:
    compare the weights that the port comes with, too. torch_optimizer, torch_loss, torch_step: the user's own
    functions: (parameters) -> optimizer, (output, target) -> scalar, (net, optimizer, x, y). Raises SpecError.
    """
    with teach(keras, recipe=recipe, data=data, seed=seed, steps=steps, batch=batch,
               keep_weights=own_weights, pupil={"torch": torch, "names": _names_data(Names.parse(names)),
                                                "layout": layout}) as lesson:
        return lesson.certify(torch, names=names, layout=layout, accept=accept, own_weights=own_weights,
                              torch_optimizer=torch_optimizer, torch_loss=torch_loss, torch_step=torch_step)


def teach(
    keras: Any, *, recipe: Any = None, data: Any = None, seed: int = 0, steps: int = STEPS, batch: int = BATCH,
    keep_weights: bool = False, teacher: str = "tensorflow", workers: Mapping[str, Worker] | None = None,
    pupil: Mapping[str, Any] | None = None,
) -> Lesson:
    """The Keras side: its trace, the calls by themselves, and its training. keep_weights: leave fresh weights as they
    are. teacher: the backend that plays it. workers: to use instead of new ones, by backend; they are left open. pupil:
    "torch", "names" and "layout" of a port whose mapping is looked at meanwhile, so that what does not fit is told at
    once."""
    began = time.perf_counter()
    spec, weights = read_keras(keras, seed)
    reference = expand(spec)
    chosen = recipe_of(spec, recipe, reference, batch)
    start = weights if keep_weights else moved_constants(spec, weights, seed)
    dataset = dataset_of(reference.spec, chosen, data, seed)
    owned = tempfile.TemporaryDirectory(prefix="harness-port-")
    folder = Path(owned.name)
    write_subject(folder, reference.spec, chosen, [dataset], State(start), seed=seed)
    arguments = {"backend": teacher, "folder": str(folder), "phase": 0, "precision": "float64", "steps": steps,
                 "execution": {"compile": "none", "device": "cpu"}, "variant": None}
    pupils = (workers or {}).get("pytorch") or Worker("pytorch")
    pupils.start()
    given = (workers or {}).get(teacher)
    worker = given or (pupils if teacher == "pytorch" else Worker(teacher))
    try:
        with ThreadPoolExecutor(1) as pool:
            lesson = pool.submit(worker.run, Job(f"{teacher_job.__module__}:{teacher_job.__name__}",
                                                 {**arguments, "target": str(folder)}))
            if pupil is not None and worker is not pupils:
                _look_at(pupils, {**arguments, "backend": "pytorch", **pupil}, worker)
            taught = lesson.result().unwrap()
    except BaseException:
        owned.cleanup()
        raise
    finally:
        if given is None and worker is not pupils:
            worker.close()
    subject = {"model": spec.name, "digest": spec.digest, "data": "random" if data is None else str(data),
               "recipe": repr(chosen), "seed": seed, "steps": steps, "program": taught["program"]}
    return Lesson(reference, folder, spec.digest, arguments, taught, teacher, time.perf_counter() - began, owned,
                  pupils, subject)


def _look_at(pupils: Worker, arguments: Mapping[str, Any], busy: Worker) -> None:
    """Raises SpecError where the port does not fit; the teacher is then stopped."""
    result = pupils.run(Job(f"{mapping_job.__module__}:{mapping_job.__name__}", dict(arguments)))
    if result.status != "done":
        busy.close()
    result.unwrap()


def _names_data(names: Names) -> dict[str, Any] | None:
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

