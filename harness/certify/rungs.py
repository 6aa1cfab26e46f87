"""R0, R1 and R2: both backends against the plan, call by call with a teacher, and one whole step.

The arrays are those of backends/contract.py (Session.readback, trace, forced), with what runner/certifying.py adds:
"start WEIGHT" (before the step), "change WEIGHT" (by the step), "control NAME".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.certify.agreement import array_difference, floors_of
from harness.certify.certificate import FAILED, PASSED, Difference, Rung
from harness.certify.limits import FACTOR, FLOAT32_KERNELS, call_limit, step_limit
from harness.plan.plan import Plan
from harness.spec.order import execution_order

Arrays = Mapping[str, np.ndarray]
# Kinds of arrays of a step in the order of its passes: the first that differs is where to look.
STEP_ORDER = ("data", "learning", "random", "inference", "forward", "loss", "gradient", "weight gradient", "slot",
              "change", "iterations")
# Of a call by itself. "inference" after "output": most mistakes are in both, and training is what is certified.
CALL_ORDER = ("output", "inference", "input gradient", "weight gradient", "change")
UNSTABLE = 1e-3
EXACT = ("data", "learning", "random", "iterations")


@dataclass(frozen=True)
class Pair:
    """The arrays of both backends: the reference (Keras on TensorFlow) and the other."""

    reference: Arrays
    other: Arrays

    def control(self, name: str) -> float | None:
        """The larger of the two frameworks' distances from themselves."""
        found = [float(side[f"control {name}"]) for side in (self.reference, self.other) if f"control {name}" in side]
        return max(found, default=None)


def check_plan(plan: Plan, start: Arrays, pairs: Mapping[str, Arrays]) -> Rung:
    """R0: what each backend is about to play, read back from its own objects, against the plan.

    start: the first weights of the plan. pairs: backend -> readback and "start WEIGHT".
    """
    differences = []
    for backend, found in pairs.items():
        keys = plan.tape.keys if found["keys"].size else plan.tape.keys[:, :0]
        wanted: dict[str, np.ndarray] = {
            "indices": plan.tape.indices, "keys": keys, "learning_rates": plan.tape.learning_rates,
            **{f"multiplier {item.name}": np.asarray(item.multiplier, np.float64) for item in plan.trainable},
            **{f"start {name}": np.asarray(array, plan.dtype) for name, array in start.items()},
            **_settings(plan, found),
        }
        read = [name for name in found if name.partition(" ")[0] in ("multiplier", "start", "setting")]
        for name in dict.fromkeys((*wanted, *(name for name in read if not name.startswith("setting ")))):
            difference = _between(found, wanted, name)
            # Learning rates pass through the precision of the training on their way to the device.
            limit = float(np.finfo(plan.dtype).eps) if name in ("learning_rates",) or name.startswith("setting ") else 0
            differences.append(Difference(f"{backend}: {name}", difference, limit))
    return _rung("R0", differences)


def _settings(plan: Plan, found: Arrays) -> dict[str, np.ndarray]:
    """The numbers of the plan's optimizer that the backend says it uses."""
    wanted: dict[str, np.ndarray] = {}
    for name in type(plan.optimizer).model_fields:
        value = getattr(plan.optimizer, name)
        if isinstance(value, (bool, int, float)) and f"setting {name}" in found:
            wanted[f"setting {name}"] = np.asarray(value, np.float64)
    return wanted


def _between(found: Arrays, wanted: Arrays, name: str) -> float:
    if name not in found or name not in wanted:
        return float("inf")
    if name == "keys" and found[name].size == 0:
        return 0.0 if wanted[name].size == 0 else float("inf")
    return array_difference(np.asarray(found[name]), np.asarray(wanted[name]))


def compare_forced(plan: Plan, pair: Pair) -> Rung:
    """R1: every call given the same tensors and gradients in both."""
    differences = [
        Difference(name, difference, call_limit(plan.spec.layers[layer], _dtype(plan, pair, name), pair.control(name)),
                   pair.control(name))
        for name, difference in _differences(pair, CALL_ORDER)
        if (layer := layer_of(plan, name)) is not None
    ]
    rung = _rung("R1", differences, CALL_ORDER, plan)
    return replace(rung, details={**rung.details, "layers": _by_layer(plan, differences)})


def _by_layer(plan: Plan, differences: Sequence[Difference]) -> dict[str, dict[str, Any]]:
    """layer -> {"type", kind: its largest difference, "beyond": kinds beyond their limit}, in the model's order."""
    found: dict[str, dict[str, Any]] = {
        node.layer: {"type": plan.spec.layers[node.layer].canonical_name(), "beyond": []}
        for node in execution_order(plan.spec)}
    for item in differences:
        row, what = found[layer_of(plan, item.what) or ""], kind(item.what)
        row[what] = max(row.get(what, 0.0), item.difference)
        if item.fails and what not in row["beyond"]:
            row["beyond"].append(what)
    return {layer: row for layer, row in found.items() if set(row) & set(CALL_ORDER)}


def compare_steps(plan: Plan, pair: Pair, factor: float = 1.0) -> Rung:
    """R2: one whole step. factor: of the limits, for a step that both reached by themselves."""
    rounds = rounds_in_float32(plan)
    differences = []
    # The loss goes back to what came before the activations of these outputs: what flows through them is but a part.
    halved = {f"gradient {reference}" for reference in plan.recovered}
    for name, difference in _differences(pair, STEP_ORDER):
        if name in halved:
            continue
        exact = kind(name) in EXACT and not (name.startswith("learning") or name.startswith("data x"))
        control = pair.control(name)
        limit = 0.0 if exact else max(step_limit(plan.dtype, control, rounds) * factor, _passed_on(pair, name))
        differences.append(Difference(name, difference, limit, control))
    return _rung("R2", differences, STEP_ORDER, plan)


def _passed_on(pair: Pair, name: str) -> float:
    """What an update, or a slot, may differ by because its gradient does: one that is nothing but rounding (terms that
    cancel, in another order) agrees beside the other gradients, and an optimizer divides by its size."""
    gradient = f"weight gradient {weight_of(name)}"
    if kind(name) not in ("slot", "change") or not _in_both(pair, gradient):
        return 0.0
    return FACTOR * array_difference(pair.other[gradient], pair.reference[gradient])


def _dtype(plan: Plan, pair: Pair, name: str) -> str:
    """float32 for an array that one side has in float32: layers may have a dtype of their own."""
    single = any(name in side and side[name].dtype == np.float32 for side in (pair.reference, pair.other))
    return "float32" if single else plan.dtype


def rounds_in_float32(plan: Plan) -> bool:
    """Whether a layer computes in float32, whatever the precision of the training."""
    return any(layer.canonical_name() in FLOAT32_KERNELS or layer.dtype == "float32"
               for layer in plan.spec.layers.values())


def _differences(pair: Pair, kinds: Sequence[str]) -> Iterable[tuple[str, float]]:
    floors = floors_of(pair.reference)
    names = dict.fromkeys((*pair.reference, *pair.other))
    for name in names:
        if kind(name) not in kinds or (not _in_both(pair, name) and _may_be_missing(pair, name)):
            continue
        found = array_difference(pair.other[name], pair.reference[name], floors.get(name, 0.0)) \
            if _in_both(pair, name) else float("inf")
        yield name, found


def _may_be_missing(pair: Pair, name: str) -> bool:
    """The loss of a single output, and the gradient of a tensor of whole numbers: Keras keeps them whole where they
    are only moved."""
    if name.startswith("loss part"):
        return True
    reference = name.removeprefix(kind(name) + " ")
    found = [side.get(f"forward {reference}", side.get(f"output {reference}")) for side in (pair.reference, pair.other)]
    return kind(name) == "gradient" and any(array is not None and array.dtype.kind != "f" for array in found)


def _in_both(pair: Pair, name: str) -> bool:
    return name in pair.reference and name in pair.other


def kind(name: str) -> str:
    """Which of the kinds above an array is."""
    for prefix in ("weight gradient", "input gradient"):
        if name.startswith(prefix + " "):
            return prefix
    return name.split(" ", 1)[0]


def layer_of(plan: Plan, name: str) -> str | None:
    """The layer that an array belongs to, None where it belongs to the whole model."""
    what = kind(name)
    rest = name.removeprefix(what + " ")
    if what in ("weight gradient", "change", "weight", "state", "start"):
        return next((item.layer for item in plan.variables if item.name == rest), None)
    if what == "slot":
        return next((item.layer for item in plan.variables if item.name == rest.partition(" ")[2]), None)
    if what in ("input gradient", "random"):
        rest = rest.rpartition(" ")[0]
    call = rest if rest in plan.spec.tensors and ":" not in rest else rest.rpartition(":")[0] or rest
    return next((node.layer for node in plan.spec.nodes if node.name == call), None)


def weight_of(name: str) -> str | None:
    """The canonical name of the weight that an array is about."""
    what = kind(name)
    rest = name.removeprefix(what + " ")
    if what == "slot":
        return rest.partition(" ")[2]
    return rest if what in ("weight gradient", "change", "weight", "state", "start") else None


def in_order(plan: Plan, differences: Iterable[Difference], kinds: Sequence[str]) -> list[Difference]:
    """By pass, and within a pass in the order of the model; gradients of tensors against it, as they come."""
    place = {node.layer: index for index, node in reversed(list(enumerate(execution_order(plan.spec))))}
    last = len(place)

    def position(item: Difference) -> tuple[int, int]:
        what = kind(item.what)
        index = place.get(layer_of(plan, item.what) or "", last if what != "data" else -1)
        return kinds.index(what), -index if what == "gradient" else index

    return sorted(differences, key=position)


def _rung(
    name: str, differences: Sequence[Difference], kinds: Sequence[str] = (), plan: Plan | None = None
) -> Rung:
    failed = [item for item in differences if item.fails]
    if plan is not None:
        failed = in_order(plan, failed, kinds)
    worst = max(differences, key=lambda item: item.nearness, default=None)
    details: dict[str, Any] = {}
    # Where one ulp moves an array this far, in one framework alone, agreement says little: the page lists them.
    unstable = [item.what for item in differences if item.limit > UNSTABLE]
    if unstable:
        details["not decided"] = unstable
    if plan is not None:
        details["largest by kind"] = {
            what: max((item.difference for item in differences if kind(item.what) == what), default=0.0)
            for what in kinds if any(kind(item.what) == what for item in differences)}
    return Rung(name, FAILED if failed or not differences else PASSED, len(differences), worst, tuple(failed),
                None if differences else "nothing was compared", details=details)
