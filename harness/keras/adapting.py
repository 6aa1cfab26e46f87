"""Layers that learn of data before they are used: `layer.adapt(data)`, as in Keras, computed in NumPy.

A layer of the spec holds what was learned as an argument (a vocabulary, a mean). Until then its face stands for one
with a stand-in, by which the other arguments are checked, and cannot be called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec.layers.base import Layer as LayerSpec

# Layer -> what it learns, with values by which the other arguments can be checked.
STAND_INS: dict[str, dict[str, Any]] = {
    "TextVectorization": {"vocabulary": ("a",)},
    "StringLookup": {"vocabulary": ("a",)},
    "IntegerLookup": {"vocabulary": (1,)},
    "Normalization": {"mean": 0.0, "variance": 1.0},
    "Discretization": {"bin_boundaries": (0.0,)},
}


class Adapting:
    """Mixed into the face of a layer that learns (harness/keras/layers.py: class_for)."""

    spec_class: ClassVar[type[LayerSpec]]
    spec: Any
    name: str
    _learned = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self).spec_class
        given = {**dict(zip(cls.positional(), args, strict=False)), **kwargs}
        learned = STAND_INS[cls.__name__]
        if len(args) > len(cls.positional()) or any(given.get(name) is not None for name in learned):
            super().__init__(*args, **kwargs)
            return
        self._arguments = {key: item for key, item in given.items() if key not in learned}
        weighs = given.get("output_mode") in ("tf_idf", "tf-idf")
        super().__init__(**self._arguments, **learned, **({"idf_weights": (1.0,)} if weighs else {}))
        self._learned = False

    def _stand_for(self, spec: LayerSpec) -> None:
        super()._stand_for(spec)  # type: ignore[misc]
        self._learned = True

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        self.check_learned()
        return super().__call__(*inputs, **arguments)  # type: ignore[misc]

    def check_learned(self) -> None:
        """Raises SpecError before the layer has learned what it needs."""
        if not self._learned:
            what = " and ".join(STAND_INS[type(self).__name__])
            raise SpecError(f"the layer {self.name!r} knows no {what} yet.", where=type(self).__name__,
                            hint=f"Call adapt(data) before the model is built, or give {what}.")

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learns of an array (the training examples), anew if it has learned before. Raises SpecError for a stream,
        and where the layer is in a model already, whose spec holds what it knew."""
        from harness.data import adapted
        from harness.keras.arrays import refuse_stream

        refuse_stream(data)
        if steps is not None:
            raise SpecError(f"adapt(steps={steps}) is not supported.", where=self.name, hint="Slice the array.")
        self._knows(adapted(type(self).__name__, data, **self._given()))

    def _given(self) -> dict[str, Any]:
        """The arguments but for what is learned."""
        if not hasattr(self, "_arguments"):
            raise SpecError(f"the layer {self.name!r} was given what it would learn.", where="adapt",
                            hint=f"Leave {' and '.join(STAND_INS[type(self).__name__])} out.")
        return self._arguments

    def _knows(self, spec: LayerSpec) -> None:
        if getattr(self, "_output", None) is not None:
            raise SpecError(f"the layer {self.name!r} is part of a model already.", where="adapt",
                            hint="Adapt it before it is called.")
        self._stand_for(spec)


class LookingUp(Adapting):
    """One with a vocabulary."""

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Gives it the vocabulary, with or without the special tokens in front."""
        weights = {} if idf_weights is None else {"idf_weights": idf_weights}
        self._knows(type(self).spec_class(**self._given(), vocabulary=vocabulary, **weights))

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by their places; the special ones first (index_lookup.py: get_vocabulary)."""
        self.check_learned()
        lookup = getattr(self.spec, "lookup", self.spec)
        special = [lookup.mask_token] * lookup.first_unknown + [lookup.oov_token] * lookup.num_oov_indices
        return [*(special if include_special_tokens else []), *lookup.tokens]

    def vocabulary_size(self) -> int:
        return len(self.get_vocabulary())


def learning(name: str) -> tuple[type, ...]:
    """What is mixed into the face of the layer of this name."""
    if name not in STAND_INS:
        return ()
    return (LookingUp,) if "vocabulary" in STAND_INS[name] else (Adapting,)
