"""Sweeps: every combination of a few values of a layer's arguments, beyond the chosen cases of tests/conformance/cases.

Combinations that the vocabulary refuses (strides with dilation, output_padding beyond the stride) are left out.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from harness.errors import SpecError
from tests.conformance.engine import Case, Fed

FORMATS = ("channels_last", "channels_first")
PADDINGS = ("valid", "same")
SPACE = {1: (11,), 2: (8, 7), 3: (5, 6, 4)}


def combinations(**values: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Every combination, as keyword arguments."""
    for chosen in itertools.product(*values.values()):
        yield dict(zip(values, chosen, strict=True))


def spatial(name: str, rank: int, channels: int, **values: tuple[Any, ...]) -> Iterator[Case]:
    """A layer over space with every combination of arguments, in either layout."""
    for arguments in combinations(**values, data_format=FORMATS):
        shape = (*SPACE[rank], channels) if arguments["data_format"] == "channels_last" else (channels, *SPACE[rank])
        label = " ".join(f"{key}={value}" for key, value in arguments.items())
        yield Case(f"{name} {label}", lambda layers, given=arguments: getattr(layers, name)(**given), (shape,))


def convolutions(rank: int) -> Iterator[Case]:
    paddings = (*PADDINGS, "causal") if rank == 1 else PADDINGS
    return spatial(f"Conv{rank}D", rank, 4, filters=(6,), kernel_size=(1, 2, 3), strides=(1, 2, 3), padding=paddings,
                   dilation_rate=(1, 2), groups=(1, 2))


def depthwise() -> Iterator[Case]:
    for rank in (1, 2):
        shared: dict[str, Any] = {"kernel_size": (2, 3), "strides": (1, 2), "padding": PADDINGS,
                                  "dilation_rate": (1, 2), "depth_multiplier": (1, 3)}
        yield from spatial(f"DepthwiseConv{rank}D", rank, 4, **shared)
        yield from spatial(f"SeparableConv{rank}D", rank, 4, filters=(5,), **shared)


def transposed(rank: int) -> Iterator[Case]:
    return spatial(f"Conv{rank}DTranspose", rank, 3, filters=(4,), kernel_size=(1, 2, 3, 4), strides=(1, 2, 3),
                   padding=PADDINGS, output_padding=(None, 0, 1, 2))


def poolings(rank: int) -> Iterator[Case]:
    for kind in ("Max", "Average"):
        yield from spatial(f"{kind}Pooling{rank}D", rank, 3, pool_size=(1, 2, 3), strides=(None, 1, 2, 3),
                           padding=PADDINGS)
        yield from spatial(f"Adaptive{kind}Pooling{rank}D", rank, 3, output_size=(1, 2, 3, 4))


def attentions() -> Iterator[Case]:
    """Both attentions with projections under every way to hide keys, with and without dropout and scores."""
    for name, arguments in (("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
                            ("GroupQueryAttention", {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 3})):
        for way in combinations(masked=((), (True, True), (False, True)), given=(False, True), causal=(False, True),
                                window=(None, 2), gate=(False, True), dropout=(0.0, 0.3), scores=(False, True)):
            call = {"use_causal_mask": way["causal"], "return_attention_scores": way["scores"],
                    **({"attention_mask": Fed(2)} if way["given"] else {})}
            options = {**arguments, "sliding_window": way["window"], "use_gate": way["gate"],
                       "dropout": way["dropout"]}
            label = " ".join(f"{key}={value}" for key, value in way.items())
            yield Case(f"{name} {label}", lambda layers, name=name, options=options: getattr(layers, name)(**options),
                       ((5, 6), (5, 6), *(((5, 5),) if way["given"] else ())), kinds=("normal", "normal", "mask"),
                       masked=way["masked"], arguments=call, certified=way["dropout"] > 0)


SWEEPS = {
    **{f"conv{rank}d": functools.partial(convolutions, rank) for rank in (1, 2, 3)}, "depthwise": depthwise,
    **{f"transposed{rank}d": functools.partial(transposed, rank) for rank in (1, 2, 3)},
    **{f"pooling{rank}d": functools.partial(poolings, rank) for rank in (1, 2, 3)}, "attention": attentions,
}


def possible(case: Case) -> bool:
    """Whether the vocabulary takes this combination."""
    try:
        case.spec()
    except SpecError:
        return False
    return True


def swept_cases() -> dict[str, Case]:
    """Every combination by "sweep/name of the sweep/label", the impossible ones among them."""
    return {f"sweep/{name}/{case.name}": case for name, cases in SWEEPS.items() for case in cases()}
