"""Learning rates that fall from the output to the input (harness/spec/phase.py: LayerDecay)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from harness.errors import SpecError, did_you_mean
from harness.spec.model import ModelSpec
from harness.spec.phase import LayerDecay


def layer_multipliers(spec: ModelSpec, decay: LayerDecay | None) -> dict[str, float]:
    """Layer -> what its learning rate is multiplied by; layers that are not there keep theirs. Raises SpecError for a
    pattern that fits no layer."""
    if decay is None:
        return {}
    if decay.order == "depth":
        return {name: decay.factor**depth for name, depth in depths(spec).items()}
    count, found = len(decay.order), dict[str, float]()
    for place, pattern in enumerate(decay.order):
        fits = [name for name in spec.layers if fnmatchcase(name, pattern)]
        if not fits:
            raise SpecError(f"layer_decay: no layer fits {pattern!r}.", hint=did_you_mean(pattern, spec.layers))
        for name in fits:
            found.setdefault(name, decay.factor ** (count - place))
    return found


def depths(spec: ModelSpec) -> dict[str, int]:
    """Layer with weights -> how many others with weights lie behind it on the longest way to an output; of a layer that
    is called several times, on the longest way of all. 0 for the last one."""
    weighted = {weight.layer for weight in spec.weights}
    behind: dict[str, int] = {}  # call -> layers with weights behind it
    found: dict[str, int] = {}
    for node in reversed(spec.nodes):
        here = behind.get(node.name, 0)
        if node.layer in weighted:
            found[node.layer] = max(found.get(node.layer, 0), here)
        for reference in node.references:
            name = reference.split(":")[0]
            behind[name] = max(behind.get(name, 0), here + (node.layer in weighted))
    return found
