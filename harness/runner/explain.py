"""Why does the same model learn something else with each framework's own defaults? Trains, switches, attributes.

A variant is the model and the recipe with some defaults as PyTorch has them. All variants are cells of one experiment:
what was trained is not trained again, and experiment.json says all that was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.explanation import KERAS, TORCH, attribute, minus, plus
from harness.backends import BACKENDS
from harness.errors import HarnessError, SpecError, did_you_mean
from harness.plan.defaults import applicable, left_out, switched, written
from harness.records.store import Store
from harness.report.explanation import Explanation
from harness.runner.check import check
from harness.runner.driver import OnEvent, Settings, execute
from harness.runner.matrix import Cell, expand
from harness.runner.models import ModelSource
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.experiment import Experiment
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

QUESTION = "Why does this model learn something else with each framework's own defaults?"
_SPLITS = ("test_", "val_")


def explain(
    model: ModelSpec | str | Mapping[str, Any], recipe: Recipe | Mapping[str, Any], data: Any = "digits",
    seeds: int | Sequence[int] = 5, backend: str = "pytorch", metric: str | None = None,
    out: Path | str | None = None, *, execution: Execution | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None, retry_failed: bool = False, dry_run: bool = False, command: str | None = None,
) -> Explanation:
    """Trains a model with each framework's own defaults, switches them one at a time, and says what each explains.

    model: a ModelSpec, a library name, or {name: {parameters}}. recipe: what it does not say is a default. data: a
    source, or {source: ..., split: ...}. seeds: how many, or which. backend: in which the variants are trained; the two
    with all defaults of one side are trained in both. metric: "accuracy" is that of the test split, else of the
    validation split, else the training's; by default the recipe's first metric. out: the folder of the results, by
    default results/explain_<model>; what it holds already is not trained again, with retry_failed but for
    what failed. dry_run: finds the defaults, trains and writes nothing. command: how the reader of the report gets it
    again.

    Trains 2 n + 4 variants per seed for n defaults. Raises SpecError for what cannot be done.
    """
    if backend not in BACKENDS:
        raise SpecError(f"unknown backend {backend!r}.", hint=did_you_mean(backend, BACKENDS))
    recipe, described = Recipe.parse(recipe), DatasetSpec.parse(data)
    _, spec = ModelSource(Path.cwd()).load(model, described)
    changes = applicable(spec, recipe)
    found = Explanation(spec, recipe, described, backend, changes, left_out(spec, recipe), written(spec),
                        command=command)
    experiment = _experiment(found, _seeds(seeds), execution)
    cells = check(experiment)
    if dry_run:
        return found
    folder = Path("results") / experiment.name if out is None else Path(out)
    # These cells are not timed: other runs on the machine need not wait for them.
    execute(experiment, cells, folder, on_event, Settings(lock=folder / ".lock", retry_failed=retry_failed))
    finals, failed, name = _finals(experiment, Store(folder), metric)
    attribution = attribute(finals, list(changes), backend, name)
    found = replace(found, attribution=attribution, finals=finals, failed=failed, folder=folder,
                    environment=_environment(Store(folder)))
    found.write(folder)
    return found


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen:
        raise SpecError(f"expected a number of seeds of at least 1, got {seeds!r}.")
    return chosen


def _experiment(found: Explanation, seeds: list[int], execution: Any) -> Experiment:
    """All variants as one experiment. Those with one default switched are trained in one backend only."""
    names = list(found.changes)
    others = [name for name in BACKENDS if name != found.backend]
    single = [*(plus(name) for name in names), *(minus(name) for name in names)]
    title = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in found.model.name)
    return Experiment.parse({
        "name": f"explain_{title}", "question": QUESTION, "data": explicit(found.data),
        "recipe": explicit(found.recipe), "execution": explicit(Execution.parse(execution)),
        "variants": [_variant(found, variant, switches) for variant, switches in variants(names).items()],
        "matrix": {"backend": list(BACKENDS), "seed": seeds},
        "exclude": [{"variant": single, "backend": others}] if single else [],
    }, folder=Path.cwd())


def variants(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every variant with the defaults that it has as PyTorch has them."""
    return {
        KERAS: (), TORCH: tuple(names), **{plus(name): (name,) for name in names},
        **{minus(name): tuple(other for other in names if other != name) for name in names},
    }


def _variant(found: Explanation, name: str, switches: Sequence[str]) -> dict[str, Any]:
    spec, recipe = switched(found.model, found.recipe, switches)
    return {"name": name, "model": spec.to_data(), "recipe": explicit(recipe)}


def _finals(
    experiment: Experiment, store: Store, metric: str | None,
) -> tuple[dict[tuple[str, str], dict[int, float]], tuple[tuple[str, str, int, str], ...], str]:
    """(the final metric of every training by variant, backend and seed, those that broke, the metric's name)."""
    finals: dict[tuple[str, str], dict[int, float]] = {}
    failed: list[tuple[str, str, int, str]] = []
    name = None
    for cell in expand(experiment):
        record, variant = store.get(cell.id), cell.labels["variant"]
        if record is None or record.status != "done":
            reason = "no record" if record is None or record.reason is None else record.reason["message"]
            failed.append((variant, cell.backend, cell.seed, reason))
            continue
        name = name or _metric(record.metrics, metric, cell)
        value = record.metrics[name]
        if value == value:
            finals.setdefault((variant, cell.backend), {})[cell.seed] = value
        else:
            failed.append((variant, cell.backend, cell.seed, f"{name} is not a number"))
    if name is None:
        raise HarnessError(f"every training failed; the first: {failed[0][3]}")
    return finals, tuple(failed), name


def _environment(store: Store) -> dict[str, Any]:
    """Machine and versions of the trainings, by the first of them."""
    said = next((record.environment for record in store.records() if record.status == "done"), {})
    versions = said.get("versions") or {}
    shown = {name: versions[name] for name in ("keras", "tensorflow", "torch", "numpy") if name in versions}
    return {"machine": said.get("machine"), "device": said.get("device"), "versions": shown}


def _metric(metrics: Mapping[str, float], asked: str | None, cell: Cell) -> str:
    """The metric's name in the records: of the test split, else of the validation split, else the training's."""
    plain = [name for name in metrics if not name.startswith(_SPLITS) and name != "loss"]
    wanted = asked or (plain[0] if plain else "loss")
    for name in (wanted,) if wanted.startswith(_SPLITS) else (f"test_{wanted}", f"val_{wanted}", wanted):
        if name in metrics:
            return name
    raise SpecError(f"the trainings have no metric {wanted!r}.", where=cell.title, hint=did_you_mean(wanted, metrics))
