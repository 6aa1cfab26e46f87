"""LoRA as a transform of a spec: layers become layers with adapters beside frozen weights, and back.

    lora: {rank: 8, alpha: 16, layers: ["block_*_attention", "block_*_feedforward_1"], dropout: 0.05}

Hu et al. 2021. What is trained and what is not stands in harness/plan/finetune.py, how adapters are merged into the
weights beside them in harness/plan/adapters.py.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import Configured
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec

# The layer with adapters of each class that can have them, by name: their family is imported when it is asked for.
ADAPTED = {"Dense": "LoRADense", "EinsumDense": "LoRAEinsumDense", "Embedding": "LoRAEmbedding",
           "MultiHeadAttention": "LoRAMultiHeadAttention"}
ARGUMENTS = ("lora_rank", "lora_alpha", "lora_dropout", "lora_initializer", "lora_projections")
MARKS = ("lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b")


def _as_patterns(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class LoRA(Configured):
    """Which layers get adapters, and of which kind.

    layers: patterns (fnmatch) for layer names; those among them that are Dense, EinsumDense, Embedding or
    MultiHeadAttention are adapted: of an attention the query's and the value's projections, as in the paper, or those
    that patterns name: "block_1_attention/key", "*/attention_output". alpha: A @ B is multiplied by alpha / rank; None
    is the rank, as in Keras. dropout: of what A reads, in training (not of an Embedding's ids). initializer: of A; B
    begins at zero, so that the model begins as it was.
    """

    rank: Annotated[int, Field(ge=1, strict=True)]
    layers: Annotated[tuple[str, ...], BeforeValidator(_as_patterns), Field(min_length=1)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    initializer: InitializerArgument = initializer_argument("he_uniform")

    @classmethod
    def parse(cls, value: Any) -> "LoRA":
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise SpecError(f"cannot read {value!r} as lora.", hint='Write {rank: 8, alpha: 16, layers: ["*"]}.')
        return cls(**{str(key): item for key, item in value.items()})

    def to_data(self) -> Any:
        return self.config()

    @property
    def scale(self) -> float:
        """What A @ B is multiplied by."""
        return (self.alpha or self.rank) / self.rank


def is_adapted(layer: Layer) -> bool:
    """Whether a layer has adapters."""
    return "lora_rank" in type(layer).model_fields


def is_adapter(role: str) -> bool:
    """Whether a weight's role ("lora_kernel_a", "query/lora_kernel_b") is that of an adapter."""
    return role.rpartition("/")[2] in MARKS


def adapted_layers(spec: ModelSpec) -> list[str]:
    """The names of the layers with adapters."""
    return [name for name, layer in spec.layers.items() if is_adapted(layer)]


def with_lora(spec: ModelSpec, lora: LoRA) -> ModelSpec:
    """The same model, the layers that fit with adapters and trainable; nothing else is changed. Raises SpecError for a
    pattern that fits no layer that can have them, and for a model that has adapters already."""
    if adapted_layers(spec):
        raise SpecError(f"lora: the model has adapters already ({', '.join(adapted_layers(spec)[:3])}...).",
                        hint="Write merge_lora: true in the same phase, and they are merged into the weights first.")
    return spec.with_layers({name: _adapted(spec.layers[name], lora, parts) for name, parts in _chosen(spec, lora)})


def without_lora(spec: ModelSpec) -> ModelSpec:
    """The same model, its layers as they were before they got adapters."""
    return spec.with_layers({name: _plain(spec.layers[name]) for name in adapted_layers(spec)})


def _chosen(spec: ModelSpec, lora: LoRA) -> list[tuple[str, tuple[str, ...] | None]]:
    """(layer, its projections that patterns name; None where a pattern names the layer itself)."""
    from harness.spec.layers.lora import DEFAULT_PROJECTIONS

    able = {name: layer for name, layer in spec.layers.items() if type(layer).__name__ in ADAPTED}
    parts = {f"{name}/{part}": (name, part) for name, layer in able.items() for part in _projections(layer)}
    chosen: dict[str, set[str]] = {}
    for pattern in lora.layers:
        fits = [name for name in spec.layers if fnmatchcase(name, pattern)]
        whole = [name for name in fits if name in able]
        within = [parts[part] for part in parts if fnmatchcase(part, pattern) and parts[part][0] not in fits]
        if not whole and not within:
            raise _nothing(spec, pattern, fits, [*able, *parts])
        for name in whole:
            chosen.setdefault(name, set()).update(DEFAULT_PROJECTIONS if _projections(able[name]) else ())
        for name, part in within:
            chosen.setdefault(name, set()).add(part)
    return [(name, tuple(part for part in _projections(able[name]) if part in chosen[name]) or None)
            for name in able if name in chosen]


def _nothing(spec: ModelSpec, pattern: str, fits: list[str], able: list[str]) -> SpecError:
    if not fits:
        return SpecError(f"lora: no layer fits {pattern!r}.", hint=did_you_mean(pattern, able))
    kinds = ", ".join(sorted({type(spec.layers[name]).__name__ for name in fits}))
    return SpecError(f"lora: {pattern!r} fits no layer that can have adapters, only {kinds}.",
                     hint=f"Adapters go with {', '.join(ADAPTED)}.")


def _projections(layer: Layer) -> tuple[str, ...]:
    """The projections of an attention, () of any other layer."""
    if type(layer).__name__ != "MultiHeadAttention":
        return ()
    gate = ("gate",) if getattr(layer, "use_gate", False) else ()
    return ("query", "key", "value", *gate, "attention_output")


def _adapted(layer: Layer, lora: LoRA, parts: tuple[str, ...] | None) -> Layer:
    from harness.spec.layers import LAYERS

    given = {key: getattr(layer, key) for key in type(layer).model_fields}
    dropout = 0.0 if type(layer).__name__ == "Embedding" else lora.dropout
    given |= {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": dropout,
              "lora_initializer": lora.initializer, "trainable": True}
    if parts is not None:
        given["lora_projections"] = parts
    try:
        return LAYERS.find(ADAPTED[type(layer).__name__])(**given)
    except SpecError as error:
        raise error.at(f"lora, layer {layer.name!r}") from None


def _plain(layer: Layer) -> Layer:
    from harness.spec.layers import LAYERS

    kind = next(base for base, adapted in ADAPTED.items() if adapted == type(layer).__name__)
    return LAYERS.find(kind)(**{key: getattr(layer, key) for key in type(layer).model_fields if key not in ARGUMENTS})

