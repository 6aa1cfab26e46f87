"""R0 of a port: what can be told before anything is computed: what trains, what drops, the weights it came with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.certify.certificate import Difference
from harness.certify.ports.causes import PortCause
from harness.certify.ports.formulas import close
from harness.certify.ports.mapping import Entry, PortMapping
from harness.certify.ports.rules import TorchUnit
from harness.certify.ports.transforms import Transform
from harness.errors import SpecError
from harness.spec.model import ModelSpec

Drop = Sequence[object]


@dataclass(frozen=True)
class PlanCheck:
    """One comparison; cause: what it would mean if it fails."""

    part: str
    what: str
    layer: str | None
    weight: str | None
    difference: Difference
    cause: PortCause | None = None

    @property
    def fails(self) -> bool:
        return self.difference.fails


def plan_checks(
    spec: ModelSpec, mapping: PortMapping, units: Sequence[TorchUnit], drops: Mapping[str, Sequence[Drop]],
    keras_drops: Sequence[Drop], weights: Mapping[str, np.ndarray], came_with: Mapping[str, np.ndarray] | None,
) -> list[PlanCheck]:
    """drops: what drops in the port in "training" and in "inference" (name, rate); keras_drops: (layer, rate).
    came_with: the weights that the port was built with, where they are to be compared."""
    flags = {f"{unit.path}.{name}" if unit.path else name: flag for unit in units
             for name, flag in unit.trainable.items()}
    return [*_trained(spec, mapping, flags), *_zeros(mapping, flags), *_dropped(drops, keras_drops),
            *(_loaded(spec, mapping, weights, came_with) if came_with is not None else ())]


def _check(
    part: str, what: str, layer: str | None, weight: str | None, difference: float, cause: PortCause | None,
    limit: float = 0.0,
) -> PlanCheck:
    return PlanCheck(part, what, layer, weight, Difference(what, difference, limit), cause)


def _trained(spec: ModelSpec, mapping: PortMapping, flags: Mapping[str, bool]) -> Iterator[PlanCheck]:
    places = {entry.weight: entry for entry in mapping.entries}
    for weight in spec.weights:
        for piece in places[weight.name].pieces:
            trained = flags.get(piece.path, False)
            if weight.trainable and not trained:
                cause = PortCause("trained layer frozen", f"{piece.path} is not trained in the port (requires_grad is "
                                  f"False, or it is a buffer), Keras trains {weight.name}", "let it require gradients")
            else:
                cause = PortCause("frozen layer trained", f"Keras's {weight.layer!r} is frozen, {piece.path} requires "
                                  "gradients: an optimizer on all parameters trains it", "requires_grad_(False)")
            yield _check("plan", f"trainable {weight.name}", weight.layer, weight.name,
                         float(weight.trainable != trained), cause)


def _zeros(mapping: PortMapping, flags: Mapping[str, bool]) -> Iterator[PlanCheck]:
    for path in mapping.zeros:
        owner = path.rpartition(".")[0]
        layer = next((entry.weight.split("/")[0] for entry in mapping.entries
                      if any(piece.path.rpartition(".")[0] == owner for piece in entry.pieces)), None)
        yield _check("plan", f"trainable {path}", layer, None, float(flags.get(path, False)), PortCause(
            "doubled bias", f"torch adds two biases and trains both, Keras has one: {path} doubles its learning rate "
            "(and may begin at another value than 0)", f"set {path} to 0 and requires_grad_(False)"))


def _dropped(drops: Mapping[str, Sequence[Drop]], keras_drops: Sequence[Drop]) -> Iterator[PlanCheck]:
    ours = [float(rate) for _, rate in drops["training"]]  # type: ignore[arg-type]
    for index in range(max(len(ours), len(keras_drops))):
        layer, rate = keras_drops[index] if index < len(keras_drops) else (None, 0.0)
        own = ours[index] if index < len(ours) else 0.0
        wanted = float(rate)  # type: ignore[arg-type]
        text = f"dropout number {index + 1} drops {own:g} in the port and {wanted:g} in Keras"
        if own == 0.0:
            text = f"Keras's {layer!r} drops {wanted:g} in training, the port nothing: it is missing, or not active"
        elif layer is None:
            text = f"the port has a dropout of {own:g} that Keras has not"
        yield _check("random", f"dropout rate {index + 1}", None if layer is None else str(layer), None,
                     abs(own - wanted), PortCause("dropout rate", text, "use Keras's rates: the part that is dropped"))
    layers = [str(layer) for layer, _ in keras_drops]
    for index, (name, rate) in enumerate(drops["inference"]):
        yield _check("inference", f"dropout in inference {index + 1}", layers[index] if index < len(layers) else None,
                     None, float(rate), PortCause(  # type: ignore[arg-type]
                         "dropout active in inference", f"{name}({rate}) drops after .eval() too: functional dropout "
                         "is active unless it is told", "F.dropout(x, p, self.training), or nn.Dropout"))


def _loaded(
    spec: ModelSpec, mapping: PortMapping, weights: Mapping[str, np.ndarray], came_with: Mapping[str, np.ndarray]
) -> Iterator[PlanCheck]:
    for entry in mapping.entries:
        ours, theirs = came_with[entry.weight], weights[entry.weight]
        scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
        far = float(np.abs(ours - theirs).max(initial=0.0)) / scale
        layer = next(weight.layer for weight in spec.weights if weight.name == entry.weight)
        # Weights that were written in float32 are as exact as that.
        yield _check("plan", f"weight {entry.weight}", layer, entry.weight, far,
                     _moved_wrongly(entry, ours, theirs) if far > 1e-6 else None, limit=1e-6)


def _moved_wrongly(entry: Entry, ours: np.ndarray, theirs: np.ndarray) -> PortCause | None:
    """How the user's own loading differs from the declared transform."""
    held = entry.transform.to_torch(ours)[0]
    for text, key, words in (
        ("same", "missing transpose", "it was copied as it is"), ("transpose", "transposed", "it was transposed"),
        *((f"gates {order}", "gate order", "its gates stand in another order") for order in _orders(theirs)),
    ):
        try:
            other = Transform.parse(text, theirs.shape).to_torch(theirs)[0]
        except SpecError:
            continue
        if text != entry.transform.text and close(held, other, 1e-6):
            return PortCause(key, f"{entry.pieces[0].text} does not hold {entry.weight} as "
                             f"PyTorch reads it: {words}", f"load it by the transform \"{entry.transform.text}\"")
    for axes, words in (((0,), "upside down"), ((0, 1), "mirrored")):
        if theirs.ndim > 2 and close(ours, np.flip(theirs, axes), 1e-6):
            return PortCause("mirrored kernel", f"{entry.weight} stands {words} in the port", "do not flip it")
    return PortCause("other weights", f"the port came with other values of {entry.weight} than Keras's",
                     "load them again")


def _orders(theirs: np.ndarray) -> list[str]:
    import itertools

    return [" ".join(map(str, order)) for size in (4, 3) if theirs.ndim == 2 and theirs.shape[-1] % size == 0
            for order in itertools.permutations(range(size))]
