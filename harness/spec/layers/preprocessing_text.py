"""Layers that the host computes, from text or by hash (keras/src/layers/preprocessing).

They stand at the beginning of a model: spec/host.py splits them off, data/text.py computes them, and the frameworks
get what comes behind them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, Shape
from harness.spec.layers.preprocessing_categories import (
    Lookup,
    OutputMode,
    encoded_shape,
    plain_list,
    read_mode,
    read_salt,
    require_vocabulary,
)


class StringLookup(Lookup):
    """Text to its place in a vocabulary, or back (invert); unknown text to num_oov_indices places, by hash."""

    host: ClassVar[bool] = True
    keyword_only: ClassVar[frozenset[str]] = Lookup.keyword_only | {"salt"}
    ignored: ClassVar[frozenset[str]] = Lookup.ignored | {"oov_method"}

    max_tokens: int | None = Field(default=None, gt=1)
    num_oov_indices: int = Field(default=1, ge=0)
    mask_token: str | None = None
    oov_token: str | None = "[UNK]"
    vocabulary: tuple[str, ...] = Field(min_length=1)
    idf_weights: tuple[float, ...] | None = None
    invert: Literal[False] = False
    output_mode: OutputMode = "int"
    pad_to_max_tokens: bool = False
    sparse: Literal[False] = False
    encoding: Literal["utf-8"] = "utf-8"
    salt: tuple[int, int] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        require_vocabulary("StringLookup", args, kwargs, 4)
        super().__init__(*args, **kwargs)

    _mode = field_validator("output_mode", mode="before")(read_mode)
    _lists = field_validator("vocabulary", "idf_weights", mode="before")(plain_list)
    _salt = field_validator("salt", mode="before")(read_salt)

    @model_validator(mode="after")
    def _check(self) -> StringLookup:
        self.check_lookup()
        return self


class TextVectorization(Layer):
    """Text to the places of its words in a vocabulary, or to one vector of them.

    standardize, split: Keras's own ways, or None; a function of yours is code that only one framework could run.
    output_sequence_length: needed for "int", because a text's longest line is known with all data only.
    """

    host: ClassVar[bool] = True
    ignored: ClassVar[frozenset[str]] = Layer.ignored | {"vocabulary_size", "has_input_vocabulary"}

    max_tokens: int | None = Field(default=None, gt=1)
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"] | None = (
        "lower_and_strip_punctuation")
    split: Literal["whitespace", "character"] | None = "whitespace"
    ngrams: tuple[int, ...] | None = None
    output_mode: Literal["int", "multi_hot", "count", "tf_idf"] = "int"
    output_sequence_length: int | None = Field(default=None, gt=0)
    pad_to_max_tokens: bool = False
    vocabulary: tuple[str, ...] = Field(min_length=1)
    idf_weights: tuple[float, ...] | None = None
    sparse: Literal[False] = False
    ragged: Literal[False] = False
    encoding: Literal["utf-8"] = "utf-8"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        require_vocabulary("TextVectorization", args, kwargs, 7)
        super().__init__(*args, **kwargs)

    _mode = field_validator("output_mode", mode="before")(read_mode)
    _lists = field_validator("vocabulary", "idf_weights", mode="before")(plain_list)

    @field_validator("ngrams", mode="before")
    @classmethod
    def _widths(cls, value: Any) -> Any:
        return tuple(range(1, value + 1)) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> TextVectorization:
        if self.output_mode == "int" and self.output_sequence_length is None and self.split is not None:
            raise SpecError("output_mode='int' needs output_sequence_length.", hint="Give the number of words kept.")
        if self.output_mode != "int" and self.output_sequence_length is not None:
            raise SpecError("output_sequence_length is for output_mode='int' only.")
        _ = self.lookup
        return self

    @property
    def lookup(self) -> StringLookup:
        """What finds the words: "" is the mask token, and there is one unknown word."""
        return StringLookup(
            self.max_tokens, mask_token="", vocabulary=self.vocabulary, idf_weights=self.idf_weights,
            output_mode=self.output_mode, pad_to_max_tokens=self.pad_to_max_tokens)

    @property
    def whole_number_outputs(self) -> bool:
        return self.output_mode == "int"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.split is None:
            words = shape if self.ngrams is None else (*shape[:-1], None)
        else:
            if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
                raise SpecError(f"TextVectorization splits texts of shape (batch,) or (batch, 1), got {shape}.")
            words = (shape[0], None)
        if self.output_mode == "int":
            return (*words[:-1], self.output_sequence_length or words[-1])
        return encoded_shape(self, words, self.output_mode, self.lookup.depth)


class Hashing(Layer):
    """Text or whole numbers to bins by hash. mask_value: what has the bin 0 for itself."""

    host: ClassVar[bool] = True

    num_bins: int = Field(gt=0)
    mask_value: int | str | None = None
    salt: tuple[int, int] | None = None
    output_mode: Literal["int", "one_hot", "multi_hot", "count"] = "int"
    sparse: Literal[False] = False

    _salt = field_validator("salt", mode="before")(read_salt)

    @property
    def whole_number_outputs(self) -> bool:
        return self.output_mode == "int"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return encoded_shape(self, shapes[0], self.output_mode, self.num_bins)


class HashedCrossing(Layer):
    """Two or more features, text or whole numbers, to the bin of their combination, by hash."""

    host: ClassVar[bool] = True

    num_bins: int = Field(gt=0)
    output_mode: Literal["int", "one_hot"] = "int"
    sparse: Literal[False] = False

    @property
    def whole_number_outputs(self) -> bool:
        return self.output_mode == "int"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 2 or len(set(shapes)) > 1 or not (len(shapes[0]) == 1 or shapes[0][1:] == (1,)):
            raise SpecError(f"HashedCrossing needs several inputs of shape (batch,) or (batch, 1), got "
                            f"{', '.join(map(str, shapes))}.")
        return encoded_shape(self, shapes[0], self.output_mode, self.num_bins)


LAYERS = (StringLookup, TextVectorization, Hashing, HashedCrossing)
