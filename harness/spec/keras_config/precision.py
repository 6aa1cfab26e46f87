"""The dtype policies of a Keras config: how precisely a model computes is decided when it is built, not by its spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.spec.keras_config.values import dtype_of, is_serialized

# What has a dtype in a config and is no layer that computes.
NOT_LAYERS = ("InputLayer", "__keras_tensor__")
FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")


def usual_dtype(item: Any) -> str | None:
    """The dtype policy that most layers of a config have."""
    counts: Counter[str] = Counter()
    stack = [item]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            config = value.get("config")
            if is_serialized(value) and isinstance(config, Mapping) and value["class_name"] not in NOT_LAYERS:
                try:
                    policy = dtype_of(config.get("dtype"))
                except SpecError:
                    policy = None
                if policy in FLOATS:
                    counts[policy] += 1
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
    return counts.most_common(1)[0][0] if counts else None


def with_known_dtype(item: Mapping[str, Any], usual: str | None) -> Mapping[str, Any]:
    """How precisely a model computes is decided when it is built: a float policy says nothing about its meaning.

    A layer that computes in other floats than the rest is refused, but in a mixed model, where Keras's own advice
    is that the last layer is left in float32: it is here too, whatever the precision of the run.
    """
    config = item["config"]
    policy = dtype_of(config.get("dtype")) if isinstance(config, Mapping) else None
    if policy is None or policy == usual or policy not in FLOATS:
        return item
    if usual is not None and not usual.startswith("mixed_"):
        raise SpecError(f"it computes in {policy}, and most of the model in {usual}.",
                        hint="Give all layers one dtype; precision is chosen when the twin is built.")
    return {**item, "config": {**config, "dtype": "float32" if policy == "float32" else None}}
