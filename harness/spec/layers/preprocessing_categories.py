"""Layers from numbers to categories (keras/src/layers/preprocessing), with what they need given, not learned."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, Shape

ADAPT = "harness.data.adapted(name, array, **arguments) makes the layer with what it learns of the array."
OutputMode = Literal["int", "one_hot", "multi_hot", "count", "tf_idf"]


def encoded_shape(layer: Layer, shape: Shape, mode: str, depth: int) -> Shape:
    """The shape of categories of (batch, ...) as numbers ("int"), as vectors of `depth` each ("one_hot"), or as one
    vector for each row (utils/numerical_utils.py: encode_categorical_inputs)."""
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    if len(shape) != 2:
        raise SpecError(f"{type(layer).__name__}: output_mode={mode!r} needs inputs of shape (batch, categories), got "
                        f"{shape}.")
    return (shape[0], depth)


def plain_list(value: Any) -> Any:
    """Lists, tuples and arrays as tuples."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(value) if isinstance(value, (list, tuple)) else value


class Discretization(Layer):
    """The number of the bin of each value: bin_boundaries [0, 1] make (-inf, 0), [0, 1) and [1, inf), whose ends are
    float32 numbers. num_bins and epsilon say how Keras's adapt() finds them."""

    bin_boundaries: tuple[float, ...] = Field(min_length=1)
    num_bins: int | None = None
    epsilon: float = 0.01
    output_mode: Literal["int", "one_hot", "multi_hot", "count"] = "int"
    sparse: Literal[False] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args and kwargs.get("bin_boundaries") is None:
            raise SpecError("Discretization needs bin_boundaries: adapt() would make them of the data.",
                            where="Discretization", hint=f"Give them. {ADAPT}")
        super().__init__(*args, **kwargs)

    @field_validator("bin_boundaries", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        boundaries = plain_list(value)
        if isinstance(boundaries, tuple) and list(boundaries) != sorted(boundaries):
            raise SpecError(f"expected numbers in order, got {value!r}.")
        return boundaries

    @property
    def whole_number_outputs(self) -> bool:
        """The numbers of bins are whole."""
        return self.output_mode == "int"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return encoded_shape(self, shapes[0], self.output_mode, len(self.bin_boundaries) + 1)


class Lookup(Layer):
    """What IntegerLookup and StringLookup share: tokens to their place in a vocabulary, unknown ones to the places
    before it (keras/src/layers/preprocessing/index_lookup.py)."""

    ignored: ClassVar[frozenset[str]] = Layer.ignored | {"vocabulary_size", "has_input_vocabulary"}
    takes_whole_numbers: ClassVar[bool] = True

    @property
    def whole_number_outputs(self) -> bool:
        return bool(self.fields.output_mode == "int")

    @property
    def fields(self) -> Any:
        """Self, whose fields the subclasses declare in Keras's order."""
        return self

    @property
    def first_unknown(self) -> int:
        """The place of the first unknown token: behind the mask token, where that has a place."""
        return int(self.fields.mask_token is not None and self.fields.output_mode == "int")

    @property
    def first_token(self) -> int:
        """The place of the vocabulary's first token."""
        return self.first_unknown + int(self.fields.num_oov_indices)

    @property
    def has_special_tokens(self) -> bool:
        """Whether the vocabulary as given begins with the mask token and the unknown ones."""
        layer = self.fields
        special = (layer.mask_token,) * self.first_unknown + (layer.oov_token,) * layer.num_oov_indices
        return bool(special and layer.vocabulary[: self.first_token] == special)

    @property
    def tokens(self) -> tuple[Any, ...]:
        """The vocabulary without the special tokens."""
        vocabulary: tuple[Any, ...] = self.fields.vocabulary
        return vocabulary[self.first_token:] if self.has_special_tokens else vocabulary

    @property
    def depth(self) -> int:
        """The length of encoded vectors."""
        size = self.first_token + len(self.tokens)
        return int(self.fields.max_tokens) if self.fields.pad_to_max_tokens else size

    def weights_of_tokens(self) -> tuple[float, ...] | None:
        """One inverse document frequency for each place of a "tf_idf" vector."""
        given = self.fields.idf_weights
        if given is None:
            return None
        front = () if self.has_special_tokens else (sum(given) / len(given),) * self.first_token
        return (*front, *given, *(0.0,) * (self.depth - len(front) - len(given)))

    def check_lookup(self) -> None:
        """Raises SpecError for arguments that do not fit together."""
        layer, tokens = self.fields, self.tokens
        if len(set(tokens)) < len(tokens):
            ((twice, _),) = Counter(tokens).most_common(1)
            raise SpecError(f"the vocabulary holds {twice!r} more than once.")
        if layer.mask_token in tokens and layer.mask_token is not None:
            raise SpecError(f"the vocabulary holds the mask token {layer.mask_token!r}.", hint="Leave it out.")
        if layer.invert and (layer.output_mode != "int" or layer.oov_token in tokens):
            raise SpecError("invert needs output_mode='int' and a vocabulary without the oov_token.")
        if layer.pad_to_max_tokens and layer.max_tokens is None:
            raise SpecError("pad_to_max_tokens needs max_tokens.")
        if layer.max_tokens is not None and self.first_token + len(tokens) > layer.max_tokens:
            raise SpecError(f"the vocabulary has more than max_tokens={layer.max_tokens} tokens.")
        if (layer.output_mode == "tf_idf") != (layer.idf_weights is not None):
            raise SpecError("idf_weights and output_mode='tf_idf' go together.")
        if layer.idf_weights is not None and len(layer.idf_weights) != len(layer.vocabulary):
            raise SpecError("idf_weights needs one number for each token of the vocabulary.")

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return encoded_shape(self, shapes[0], self.fields.output_mode, self.depth)


def read_mode(value: Any) -> Any:
    """Keras's older names of output modes."""
    return {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(value, value) if isinstance(value, str) else value


def read_salt(value: Any) -> Any:
    """One number stands for two."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else plain_list(value)


def require_vocabulary(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], place: int) -> None:
    """Raises SpecError where no vocabulary is given, or the name of a file."""
    given = args[place] if len(args) > place else kwargs.get("vocabulary")
    if given is None or isinstance(given, str):
        found = "is read from a file" if isinstance(given, str) else "is not given: adapt() would make it of the data"
        raise SpecError(f"the vocabulary {found}.", where=name, hint=f"Give a list of tokens. {ADAPT}")


class IntegerLookup(Lookup):
    """Whole numbers to their place in a vocabulary. Unknown ones: num_oov_indices places, by the remainder
    ("floormod") or by hash, which the host computes. num_oov_indices=0: an unknown number has the place -1, where
    Keras stops the program."""

    max_tokens: int | None = Field(default=None, gt=1)
    num_oov_indices: int = Field(default=1, ge=0)
    mask_token: int | None = None
    oov_token: int | None = -1
    vocabulary: tuple[int, ...] = Field(min_length=1)
    vocabulary_dtype: Literal["int64"] = "int64"
    idf_weights: tuple[float, ...] | None = None
    invert: bool = False
    output_mode: OutputMode = "int"
    sparse: Literal[False] = False
    pad_to_max_tokens: bool = False
    oov_method: Literal["floormod", "farmhash"] = "floormod"
    salt: tuple[int, int] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        require_vocabulary("IntegerLookup", args, kwargs, 4)
        super().__init__(*args, **kwargs)

    _mode = field_validator("output_mode", mode="before")(read_mode)
    _lists = field_validator("vocabulary", "idf_weights", mode="before")(plain_list)
    _salt = field_validator("salt", mode="before")(read_salt)

    @model_validator(mode="after")
    def _check(self) -> IntegerLookup:
        self.check_lookup()
        if self.salt is not None and self.oov_method != "farmhash":
            raise SpecError("salt needs oov_method='farmhash'.")
        if self.oov_method == "farmhash" and self.num_oov_indices > 1:
            raise SpecError("oov_method='farmhash' hashes text, which runs on the host only.",
                            hint="Use oov_method='floormod', or one index for all unknown numbers.")
        return self


LAYERS = (Discretization, IntegerLookup)
