"""Figures of a port against Keras: mapping (R0), part by part and between the parts (R1), one step (R2), 50 steps (R3).

The arrays are those of backends/pytorch/ports/forced.py and of a trace of the Keras model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.certify.agreement import array_difference
from harness.certify.certificate import FAILED, PASSED, Curve, Difference, Rung
from harness.certify.limits import CALL_LIMIT, STEP_LIMIT, widened
from harness.certify.ports.parts import Part
from harness.spec.model import ModelSpec, Node

Arrays = Mapping[str, np.ndarray]
# A value below this part of the largest of its kind counts as that part: a gradient that is zero but for rounding.
FLOOR = 1e-3
# Where Keras on TensorFlow has a constant in float32 whatever the tensor's precision (tf.nn.gelu), a port that has it
# in float64 differs by this much.
CONSTANTS, OF_CONSTANTS = ("gelu",), 1e-7
# What such a difference may become in a step of an optimizer that divides by small gradients, and in fifty.
AFTER_CONSTANTS = 1e-3
PASSES = ("forward", "inference", "loss", "backward", "buffer", "update")
STEPS = (1, 2, 5, 10, 20, 50)
# A trajectory may be so much further from Keras's than Keras from itself; and this far, whatever Keras does.
TIMES, LEAST = 10.0, 1e-11


@dataclass(frozen=True)
class Gap:
    """What lies between parts: the tensors it starts from, the Keras calls in it, the tensor that it ends in."""

    sources: tuple[str, ...]
    chain: tuple[Node, ...]
    target: str

    @property
    def text(self) -> str:
        inside = f" ({', '.join(node.name for node in self.chain)})" if self.chain else ""
        return f"after {', '.join(self.sources)}{inside}"


@dataclass(frozen=True)
class Check:
    """One comparison. part: one of PASSES. place: where in the model it stands, for the order. container: whether it
    rests on a module of the user's being one Keras layer."""

    part: str
    what: str
    layer: str | None
    place: float
    difference: Difference
    ours: np.ndarray
    theirs: np.ndarray
    weight: str | None = None
    gap: Gap | None = None
    call: str | None = None
    container: bool = False

    @property
    def fails(self) -> bool:
        return self.difference.fails

    @property
    def order(self) -> tuple[int, float]:
        return PASSES.index(self.part), self.place


def rounds_constants(spec: ModelSpec, nodes: Iterable[Node]) -> bool:
    """Whether one of the calls has constants in float32."""
    return any(_has_constants(getattr(spec.layers[node.layer], "activation", None)) for node in nodes)


def _has_constants(activation: object) -> bool:
    return any(name in str(activation).lower() for name in CONSTANTS)


def gap_before(spec: ModelSpec, target: str, parts: Sequence[Part]) -> Gap:
    """What leads to a tensor, back to the outputs of parts and the inputs of the model."""
    cut = {reference for part in parts for call in part.calls for reference in call.outputs}
    cut |= {item.name for item in spec.inputs}
    nodes = {node.name: node for node in spec.nodes}
    chain: list[str] = []
    sources: list[str] = []
    waiting = [target]
    while waiting:
        name = waiting.pop(0)
        if name in cut:
            sources.append(name)
        elif name.split(":")[0] in nodes and name.split(":")[0] not in chain:
            chain.append(name.split(":")[0])
            waiting += nodes[chain[-1]].references
    return Gap(tuple(dict.fromkeys(sources)), tuple(node for node in spec.nodes if node.name in chain), target)


class Comparison:
    """The cut passes of one port against the trace of Keras. teacher: the trace and the forced calls, controls too."""

    def __init__(self, spec: ModelSpec, parts: Sequence[Part], teacher: Arrays) -> None:
        self.spec, self.parts, self.teacher = spec, parts, teacher
        self.place = {node.name: float(index) for index, node in enumerate(spec.nodes)}
        self.of_call = {call.name: (part, call) for part in parts for call in part.calls}
        self.of_output = {reference: (part, call) for part in parts for call in part.calls
                          for reference in call.outputs}
        self.layers = {weight.name: weight.layer for weight in spec.weights}

    def checks(self, training: Arrays, inference: Arrays) -> list[Check]:
        """Every comparison of R1, in order."""
        found = [*self._forward(training, "forward"), *self._forward(inference, "inference"),
                 *self._backward(training), *self._state(training)]
        return sorted(found, key=lambda check: check.order)

    def _forward(self, arrays: Arrays, part: str) -> Iterable[Check]:
        for name, ours in arrays.items():
            what, _, rest = name.partition(" ")
            if what == "arrival":
                call, _, number = rest.rpartition(" ")
                owner, made = self.of_call[call]
                target = [*made.inputs, *made.inputs[1:2]][int(number)]
                yield self._check(part, f"{part} into {call}", None, self.place[call] - 0.5, ours,
                                  arrays[f"expected {name}"], gap=gap_before(self.spec, target, self.parts), call=call)
            elif what == "output":
                owner, made = self.of_output[rest]
                yield self._check(part, f"{part} {rest}", owner.layer, self.place[made.name], ours,
                                  self.teacher[f"{part} {rest}"], call=made.name, container=owner.container)
            elif what == "result":
                yield self._check(part, f"{part} output {rest}", None, float(len(self.place)), ours,
                                  arrays[f"expected {name}"], gap=gap_before(self.spec, rest, self.parts))

    def _backward(self, arrays: Arrays) -> Iterable[Check]:
        for name, ours in arrays.items():
            if name.startswith("input gradient "):
                call = name.removeprefix("input gradient ").rpartition(" ")[0]
                owner = self.of_call[call][0]
                if name in self.teacher:
                    yield self._check("backward", name, owner.layer, self.place[call], ours, self.teacher[name],
                                      call=call, container=owner.container)
            elif name.startswith("gap gradient "):
                reference = name.removeprefix("gap gradient ")
                theirs = self.teacher.get(f"gradient {reference}")
                if theirs is not None and f"drawn {reference}" not in self.teacher:
                    made_by = self.of_output.get(reference)
                    yield self._check(
                        "backward", f"gradient {reference}", None, self.place.get(reference.split(":")[0], -1.0) + 0.5,
                        ours, theirs, gap=self._gap_after(reference), container=bool(made_by and made_by[0].container))
            elif name.startswith("weight gradient "):
                weight = name.removeprefix("weight gradient ")
                layer = self.layers[weight]
                held = next((part for part in self.parts if layer in part.layers), None)
                yield self._check("backward", name, layer, self.place[self.spec.first_calls[layer].name] + 0.1, ours,
                                  self.teacher[name], weight=weight, call=held.calls[0].name if held else None,
                                  container=bool(held and held.container))

    def _gap_after(self, reference: str) -> Gap:
        """The calls behind a tensor, up to the next parts."""
        cut = set(self.of_call)
        chain, waiting = [], [reference]
        while waiting:
            name = waiting.pop(0)
            for node in self.spec.nodes:
                if name in node.references and node.name not in cut and node not in chain:
                    chain.append(node)
                    waiting.append(node.name)
        return Gap((reference,), tuple(chain), reference)

    def _state(self, arrays: Arrays) -> Iterable[Check]:
        for name, ours in arrays.items():
            if name.startswith("state "):
                weight = name.removeprefix("state ")
                layer = self.layers[weight]
                call = self.spec.first_calls[layer].name
                yield self._check("buffer", name, layer, self.place[call], ours, self.teacher[name], weight=weight,
                                  call=call if call in self.of_call else None)

    def _check(
        self, part: str, what: str, layer: str | None, place: float, ours: np.ndarray, theirs: np.ndarray, *,
        weight: str | None = None, gap: Gap | None = None, call: str | None = None, container: bool = False,
    ) -> Check:
        control = self._control(what)
        least = OF_CONSTANTS if gap is not None and rounds_constants(self.spec, gap.chain) else CALL_LIMIT
        difference = Difference(what, array_difference(ours, theirs, self._floor(what)), widened(least, control),
                                control)
        return Check(part, what, layer, place, difference, ours, theirs, weight, gap, call, container)

    def _control(self, what: str) -> float | None:
        found = self.teacher.get(f"control {what}")
        return None if found is None else float(found)

    def _floor(self, what: str) -> float:
        if not hasattr(self, "_floors"):
            self._floors: dict[str, float] = {}
        kind = next((kind for kind in ("input gradient", "weight gradient", "gradient", "state") if
                     what.startswith(kind)), None)
        if kind is None:
            return 0.0
        if kind not in self._floors:
            self._floors[kind] = FLOOR * max((float(np.abs(array).max(initial=0.0)) for name, array in
                                              self.teacher.items() if name.startswith(kind + " ")), default=0.0)
        # Moving averages are compared as they are: near zero they are small by right.
        return 0.0 if kind == "state" else self._floors[kind]


def rung(name: str, differences: Sequence[Difference], failed: Sequence[Difference] = ()) -> Rung:
    """A rung of these figures."""
    beyond = tuple(failed) or tuple(item for item in differences if item.fails)
    worst = max(differences, key=lambda item: item.difference / item.limit if item.limit else item.difference,
                default=None)
    return Rung(name, FAILED if beyond or not differences else PASSED, len(differences), worst, beyond,
                None if differences else "nothing was compared")


STEP_KINDS = {"loss": "loss", "weight gradient": "backward", "slot": "update", "change": "update",
              "iterations": "update"}


def step_checks(spec: ModelSpec, ours: Arrays, theirs: Arrays, least: float = STEP_LIMIT) -> list[Check]:
    """R2: one whole step, the port's own from the beginning to the end. least: the smallest limit."""
    layers = {weight.name: weight.layer for weight in spec.weights}
    state = {weight.name for weight in spec.weights if not weight.trainable}
    place = {node.layer: float(index) for index, node in reversed(list(enumerate(spec.nodes)))}
    found = []
    for name, array in ours.items():
        kind = next((kind for kind in STEP_KINDS if name == kind or name.startswith(kind + " ")), None)
        if kind is None or name not in theirs or name.startswith("loss part"):
            continue
        floor = FLOOR * max((float(np.abs(item).max(initial=0.0)) for other, item in theirs.items()
                             if other.startswith(_group(name))), default=0.0)
        controls = [float(side[f"control {name}"]) for side in (ours, theirs) if f"control {name}" in side]
        weight = next((weight for weight in layers if name.endswith(f" {weight}")), None)
        layer = layers.get(weight or "")
        part = "buffer" if weight in state else STEP_KINDS[kind]
        found.append(Check(
            part, name, layer, place.get(layer or "", 0.0),
            Difference(name, array_difference(array, theirs[name], floor),
                       widened(least, max(controls, default=None)), max(controls, default=None)),
            array, theirs[name], weight))
    return sorted(found, key=lambda check: check.order)


def _group(name: str) -> str:
    words = name.split(" ")
    return " ".join(words[:-1]) + " " if len(words) > 1 else name


def trajectory(
    ours: Arrays, theirs: Arrays, program: str, skip: Iterable[str] = (), least: float = LEAST
) -> tuple[Curve, Rung]:
    """R3: D(t) of the weights against how far Keras goes from itself. skip: weights that are left out.

    ours, theirs: "STEP WEIGHT"; theirs also "control STEP WEIGHT", moved by one ulp.
    """
    skipped = set(skip)
    steps = sorted({int(name.split(" ")[0]) for name in ours})
    between, control = [], []
    for step in steps:
        names = [name for name in ours if name.startswith(f"{step} ") and name.partition(" ")[2] not in skipped
                 and theirs[name].dtype.kind == "f"]
        between.append(_distance(ours, theirs, names, ""))
        control.append(_distance(theirs, theirs, names, "control "))
    limit = tuple(max(TIMES * item, least) for item in np.maximum.accumulate(control))
    curve = Curve("weights", "float64", program, tuple(steps), tuple(between), {"keras, one ulp": tuple(control)},
                  limit)
    found = [Difference(f"weights after {step} steps", distance, most, own)
             for step, distance, most, own in zip(steps, between, limit, control, strict=True)]
    return curve, rung("R3", found)


def _distance(ours: Arrays, theirs: Arrays, names: Sequence[str], prefix: str) -> float:
    far = sum(float(np.sum(np.square(ours[prefix + name] - theirs[name]))) for name in names)
    size = sum(float(np.sum(np.square(theirs[name]))) for name in names)
    distance = float(np.sqrt(far) / max(np.sqrt(size), np.finfo(np.float64).tiny))
    return distance if np.isfinite(distance) else float("inf")
