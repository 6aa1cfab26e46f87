"""Rematerialization (activation checkpointing): which calls of a model are computed a second time in the backward pass
instead of being kept, `execution: {remat: ...}`.

The modes are those of keras.RematScope (keras/src/backend/common/remat.py), and `blocks`:

    full            every call of a layer on its own, from its inputs
    activations     the activation functions of layers that have one
    larger_than:N   calls whose outputs have more than N numbers for each example (Keras's output_size_threshold)
    [names]         calls of these layers (Keras's list_of_layers); names or patterns
    blocks          rows of calls, cut so that what is kept between them and what one of them needs are the least

Both backends ask `recomputed_calls` and `recomputed_activations`: they recompute the same. It costs time and saves
memory, and changes no number: random bits come from the tape again, moving averages are written once.
"""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.layers.base import Layer, Shape
from harness.spec.model import ModelSpec, Node
from harness.spec.operations.base import Operation
from harness.spec.order import execution_order

# "full", "activations", "blocks", "larger_than:N", or the names of layers.
Remat = str | tuple[str, ...] | None

FULL, ACTIVATIONS, BLOCKS, LARGER_THAN, LIST = "full", "activations", "blocks", "larger_than", "list_of_layers"
MODES = (FULL, ACTIVATIONS, BLOCKS, LARGER_THAN, LIST)
# keras.RematScope's own default.
THRESHOLD = 1024
# keras.RematScope's arguments.
ARGUMENTS = ("mode", "output_size_threshold", "layer_names")
# Into how many parts, of equal size, it is tried to cut a model.
PARTS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
WHERE = "execution.remat"


def parse_remat(value: Any) -> Remat:
    """Reads a mode, "larger_than:N", names of layers, {mode: its argument}, or RematScope's arguments as a mapping.
    Raises SpecError."""
    if value is None or value is False:
        return None
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, (list, tuple)):
        return _names(value)
    if not isinstance(value, str):
        raise SpecError(f"'remat' is a mode or a list of layers, got {value!r}.", hint=_known())
    mode, separator, argument = value.partition(":")
    if mode == LARGER_THAN:
        return f"{LARGER_THAN}:{_threshold(argument.strip() if separator else THRESHOLD)}"
    if value in (FULL, ACTIVATIONS, BLOCKS):
        return value
    if mode == LIST:
        raise SpecError("'remat' is 'list_of_layers' without the layers.", hint="Write remat: [first, second].")
    raise SpecError(f"unknown mode of remat {value!r}.", hint=f"{did_you_mean(mode, MODES)} {_known()}")


def check_remat(spec: ModelSpec, remat: Remat) -> None:
    """Raises SpecError for names that no layer of the model has."""
    for pattern in remat if isinstance(remat, tuple) else ():
        if not any(fnmatchcase(name, pattern) for name in spec.layers):
            raise SpecError(f"no layer of the model {spec.name!r} is called {pattern!r}.", where=WHERE,
                            hint=did_you_mean(pattern, spec.layers))


def recomputed_calls(spec: ModelSpec, remat: Remat) -> tuple[tuple[str, ...], ...]:
    """The rows of calls, each in the order of execution, that are computed again as one; the others are kept. Raises
    SpecError as `check_remat`."""
    check_remat(spec, remat)
    order = execution_order(spec)
    if remat == BLOCKS:
        return _blocks(spec, order)
    return tuple((node.name,) for node in order if _is_chosen(spec, node, remat))


def recomputed_activations(spec: ModelSpec, remat: Remat) -> tuple[str, ...]:
    """The layers whose activation functions are computed again. Those of recurrent layers stay: they act within the
    steps."""
    return tuple(name for name, layer in spec.layers.items() if has_activation(layer)) if remat == ACTIVATIONS else ()


def has_activation(layer: Layer) -> bool:
    """Whether a layer computes something and then an activation of it."""
    return (getattr(layer, "activation", None) not in (None, "linear") and not isinstance(layer, Operation)
            and not hasattr(layer, "recurrent_initializer"))


def in_words(spec: ModelSpec, remat: Remat) -> str:
    """What a model recomputes, as the end of a sentence; "" if nothing was asked for."""
    if remat is None:
        return ""
    if remat == ACTIVATIONS:
        return f", the activations of {len(recomputed_activations(spec, remat))} layers recomputed"
    rows = recomputed_calls(spec, remat)
    blocks = f" in {len(rows)} blocks" if remat == BLOCKS else ""
    return f", {sum(map(len, rows))} of {len(spec.nodes)} calls recomputed{blocks}"


def kept_numbers(spec: ModelSpec, remat: Remat) -> int:
    """How many numbers of the calls' outputs are there at once for the backward pass of one example: all that is kept,
    or, when a row is computed again, what was kept before it and what it puts out. What a layer keeps of its inside
    (attention's weights, a gate) is not counted."""
    order = execution_order(spec)
    row_of = {call: index for index, row in enumerate(recomputed_calls(spec, remat)) for call in row}
    read = {reference for node in order for reference in node.references
            if row_of.get(reference.partition(":")[0]) != row_of.get(node.name)}
    kept, most, rows = 0, 0, dict[int, int]()
    for node in order:
        made = _made(spec, node)
        row = row_of.get(node.name)
        if row is not None:
            rows[row] = rows.get(row, kept) + sum(made.values())
        kept += sum(size for name, size in made.items() if row is None or name in read)
        most = max(most, kept, rows.get(row, 0) if row is not None else 0)
    return most


def told(spec: ModelSpec, remat: Remat) -> str:
    """For `harness plan`: what is recomputed, and what it saves; "" if nothing was asked for."""
    if remat is None:
        return ""
    now, before = kept_numbers(spec, remat), kept_numbers(spec, None)
    share = f"; about {now / before:.0%} of what the calls put out is kept at once" if before else ""
    mode = "list of layers" if isinstance(remat, tuple) else remat
    return f"{mode}{in_words(spec, remat)}{share}"


def _known() -> str:
    return (f"Expected {FULL}, {ACTIVATIONS}, {BLOCKS}, {LARGER_THAN}:{THRESHOLD}, a list of layers, or null.")


def _of_mapping(value: Mapping[Any, Any]) -> Remat:
    """{larger_than: N}, {list_of_layers: [...]}, or the arguments of keras.RematScope."""
    unknown = [key for key in value if key not in ARGUMENTS]
    if len(value) == 1 and unknown and unknown[0] in (LARGER_THAN, LIST):
        ((mode, argument),) = value.items()
        return f"{LARGER_THAN}:{_threshold(argument)}" if mode == LARGER_THAN else _names(argument)
    if unknown:
        raise SpecError(f"keras.RematScope has no argument {unknown[0]!r}.",
                        hint=did_you_mean(unknown[0], (*ARGUMENTS, LARGER_THAN, LIST)))
    mode = value.get("mode", FULL)
    reads = {LARGER_THAN: "output_size_threshold", LIST: "layer_names"}.get(mode)
    for argument in ("output_size_threshold", "layer_names"):
        if argument in value and argument != reads:
            raise SpecError(f"{argument} means nothing in the mode {mode!r}.", hint="Leave it out.")
    if mode == LIST:
        return _names(value.get("layer_names", ()))
    if mode == LARGER_THAN:
        return f"{LARGER_THAN}:{_threshold(value.get('output_size_threshold', THRESHOLD))}"
    return parse_remat(mode)


def _threshold(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal():
        raise SpecError(f"{LARGER_THAN} takes a whole number of at least 0, got {value!r}.",
                        hint="It is counted in numbers for each example.")
    return int(text)


def _names(value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise SpecError(f"the layers of remat are a list of names, got {value!r}.", hint=_known())
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpecError(f"the layers of remat name {twice!r} twice.")
    return names


def _is_chosen(spec: ModelSpec, node: Node, remat: Remat) -> bool:
    if isinstance(remat, tuple):
        return any(fnmatchcase(node.layer, pattern) for pattern in remat)
    if remat == FULL:
        return True
    if remat is not None and remat.startswith(LARGER_THAN):
        return sum(_made(spec, node).values()) > int(remat.partition(":")[2])
    return False


def _numbers(shape: Shape) -> int:
    """Of one example; an unknown dimension counts as 1, as in Keras (keras/src/ops/operation.py: compute_size)."""
    return math.prod(size or 1 for size in shape[1:])


def _made(spec: ModelSpec, node: Node) -> dict[str, int]:
    """The outputs of a call and the numbers in each."""
    found, index = {node.name: _numbers(spec.tensors[node.name])}, 1
    while f"{node.name}:{index}" in spec.tensors:
        found[f"{node.name}:{index}"] = _numbers(spec.tensors[f"{node.name}:{index}"])
        index += 1
    return found


# -- blocks

def _blocks(spec: ModelSpec, order: Sequence[Node]) -> tuple[tuple[str, ...], ...]:
    """The cuts of the least memory. What a block needs is what its calls put out; the last one is kept as it is,
    because it would be computed again at once."""
    inner, between = _sizes(spec, order)
    found: list[int] = []
    least = sum(inner)
    for parts in PARTS:
        room = max(max(inner), -(-sum(inner) // parts))
        cuts = _cuts(inner, between, room)
        edges = [0, *cuts, len(order)]
        needed = sum(between[cut - 1] for cut in cuts) + max(
            sum(inner[first:last]) for first, last in pairwise(edges))
        if needed < least:
            least, found = needed, cuts
    names = [node.name for node in order]
    return tuple(tuple(names[first:last]) for first, last in pairwise([0, *found]))


def _sizes(spec: ModelSpec, order: Sequence[Node]) -> tuple[list[int], list[int]]:
    """(what each call puts out, what of that and of the calls before is still read after it)."""
    sizes = {reference: size for node in order for reference, size in _made(spec, node).items()}
    last_read = {reference: len(order) for reference in spec.outputs}
    for index, node in reversed(list(enumerate(order))):
        for reference in node.references:
            last_read.setdefault(reference, index)
    inner, between, live = [], [], 0
    ends: dict[int, int] = {}
    for index, node in enumerate(order):
        made = _made(spec, node)
        inner.append(sum(made.values()))
        for reference in made:
            until = last_read.get(reference, index)
            if until > index:
                live += sizes[reference]
                ends[until] = ends.get(until, 0) + sizes[reference]
        live -= ends.pop(index, 0)
        between.append(live)
    return inner, between


def _cuts(inner: Sequence[int], between: Sequence[int], room: int) -> list[int]:
    """Before which calls to cut, so that no part is larger than `room` and as little as possible lies between."""
    count = len(inner)
    best: list[tuple[int, int]] = [(0, 0)]  # of the first calls: (what lies between their parts, the last cut)
    for stop in range(1, count + 1):
        size, found = 0, None
        for start in range(stop - 1, -1, -1):
            size += inner[start]
            if size > room and start < stop - 1:
                break
            cost = best[start][0] + (between[start - 1] if start else 0)
            if found is None or cost <= found[0]:
                found = (cost, start)
        assert found is not None
        best.append(found)
    cuts, stop = [], count
    while stop:
        stop = best[stop][1]
        if stop:
            cuts.append(stop)
    return cuts[::-1]
