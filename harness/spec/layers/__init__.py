"""The vocabulary: every layer class under Keras's name (`harness.layers.Dense`).

One file per Keras family, each ending in its own table; this is where the tables meet.
"""

from harness.spec.configured import Family
from harness.spec.layers import (
    activation,
    attention,
    convolutional,
    core,
    depthwise,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    recurrent_convolutional,
    regularization,
    reshaping,
    transposed,
    wrapping,
)
from harness.spec.layers.base import Layer

FAMILIES = (
    activation, attention, convolutional, core, depthwise, merging, normalization, pooling, preprocessing, recurrent,
    recurrent_convolutional, regularization, reshaping, transposed, wrapping,
)

LAYERS: Family[Layer] = Family("layer", [cls for family in FAMILIES for cls in family.LAYERS])


def __getattr__(name: str) -> type[Layer]:
    if name in LAYERS.classes:
        return LAYERS.classes[name]
    raise AttributeError(str(_unknown(name)))


def __dir__() -> list[str]:
    return sorted(LAYERS.classes)


def _unknown(name: str) -> Exception:
    from harness.errors import SpecError, did_you_mean

    return SpecError(f"there is no layer {name!r}.", hint=did_you_mean(name, LAYERS.classes))
