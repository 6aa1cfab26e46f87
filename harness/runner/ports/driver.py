"""harness.certify_port: a user's hand-written PyTorch module against their Keras model, rung by rung.

Keras runs in a TensorFlow worker's child, the module in a PyTorch worker's: each sees the same weights, batches and
gradients. The Keras side is worked out once (`Lesson`) and may teach many ports.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.backends.contract import State
from harness.certify.certificate import Certificate
from harness.certify.ports.names import Names
from harness.certify.ports.reference import expand
from harness.runner.certificates import OnEvent
from harness.runner.certifying import write_subject
from harness.runner.ports.jobs import mapping_job, teacher_job
from harness.runner.ports.lesson import Lesson, names_data
from harness.runner.ports.subject import dataset_of, moved_constants, read_keras, recipe_of
from harness.runner.ports.whole_runs import free_folder, with_whole_runs
from harness.runner.workers import Job, Worker

BATCH, STEPS = 8, 50


def certify_port(
    keras: Any, torch: str, names: Any = None, *, recipe: Any = None, data: Any = None, layout: str = "auto",
    accept: Sequence[str] = (), own_weights: bool = False, torch_optimizer: str | None = None,
    torch_loss: str | None = None, torch_step: str | None = None, seed: int = 0, steps: int = STEPS,
    batch: int = BATCH, precision: str = "float32", torch_compile: bool = False, seeds: int = 0,
    runs: Path | None = None, on_event: OnEvent | None = None,
) -> Certificate:
    """Compares a hand-written torch.nn.Module with a Keras model and names the first part that differs, and why.

    keras: a .keras or .h5 file, a live Keras model, a ModelSpec or a library model. torch: "package.module:build_net"
    or "file.py:build_net", a function without arguments, a Module class or a module. names: a mapping of weights
    (names.yaml, or a dict), proposed where None. recipe, data: as of `harness.train`; by default Adam, the loss that
    the last activation asks for, and random examples. layout: "channels_first", "channels_last" or "auto": how images
    are handed over. accept: keys of causes that are not held against the port ("unbiased variance"). own_weights:
    compare the weights that the port comes with, too. torch_optimizer, torch_loss, torch_step: the user's own
    functions: (parameters) -> optimizer, (output, target) -> scalar, (net, optimizer, x, y). precision: that of R4,
    "float32" or "float64"; torch_compile: whether R4 trains the module through torch.compile. seeds: whole
    runs of both over so many paired seeds (R5), whose records go to `runs`. Raises SpecError.
    """
    if seeds and runs is not None:
        free_folder(runs)
    with teach(keras, recipe=recipe, data=data, seed=seed, steps=steps, batch=batch,
               keep_weights=own_weights, pupil={"torch": torch, "names": names_data(Names.parse(names)),
                                                "layout": layout}) as lesson:
        found = lesson.certify(torch, names=names, layout=layout, accept=accept, own_weights=own_weights,
                              torch_optimizer=torch_optimizer, torch_loss=torch_loss, torch_step=torch_step,
                              precision=precision, torch_compile=torch_compile)
        if not seeds:
            return found
        with contextlib.ExitStack() as stack:
            folder = runs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-port-"))) / "runs"
            return with_whole_runs(found, lesson.spec, lesson.recipe, data, lesson.port, precision=precision,
                                   seeds=seeds, folder=folder, on_event=on_event)


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
    stack = contextlib.ExitStack()
    try:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-port-")))
        write_subject(folder, reference.spec, chosen, [dataset], State(start), seed=seed)
        arguments = {"backend": teacher, "folder": str(folder), "phase": 0, "precision": "float64", "steps": steps,
                     "execution": {"compile": "none", "device": "cpu"}, "variant": None}
        pupils = (workers or {}).get("pytorch") or stack.enter_context(Worker("pytorch"))
        pupils.start()
        worker = pupils if teacher == "pytorch" else \
            (workers or {}).get(teacher) or stack.enter_context(Worker(teacher))
        with ThreadPoolExecutor(1) as pool:
            lesson = pool.submit(worker.run, Job(f"{teacher_job.__module__}:{teacher_job.__name__}",
                                                 {**arguments, "target": str(folder)}))
            if pupil is not None and worker is not pupils:
                _look_at(pupils, {**arguments, "backend": "pytorch", **pupil}, worker)
            taught = lesson.result().unwrap()
    except BaseException:
        stack.close()
        raise
    subject = {"model": spec.name, "digest": spec.digest, "data": "random" if data is None else str(data),
               "recipe": repr(chosen), "seed": seed, "steps": steps, "program": taught["program"]}
    return Lesson(spec, recipe_of(spec, recipe, None, batch), reference, folder, arguments, taught, teacher,
                  time.perf_counter() - began, subject, worker, pupils, stack.close)


def _look_at(pupils: Worker, arguments: Mapping[str, Any], busy: Worker) -> None:
    """Raises SpecError where the port does not fit; the teacher is then stopped."""
    result = pupils.run(Job(f"{mapping_job.__module__}:{mapping_job.__name__}", dict(arguments)))
    if result.status != "done":
        busy.close()
    result.unwrap()
