"""What is done to the arrays before training, once, on the host, for both frameworks alike.

`prepare` is a list of steps, `augment` a list of seeded changes of the training examples. Both are written
as names (`standardise`) or with arguments (`{rescale: {scale: 1/255}}`).
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from harness.errors import SpecError
from harness.spec.configured import Configured, Family, snake_case


def _number(value: Any) -> Any:
    """Reads "1/255" as a number, for those who write YAML by hand."""
    if isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            raise SpecError(f"cannot read {value!r} as a number.", hint="Write 0.5 or 1/255.") from None
    return value


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Names = Annotated[tuple[str, ...] | None, BeforeValidator(_texts)]


class Step(Configured):
    """Base of all steps. arrays: the inputs or targets it is for (all inputs where absent)."""

    keyword_only = frozenset({"arrays"})
    arrays: Names = None

    @classmethod
    def canonical_name(cls) -> str:
        return snake_case(cls.__name__)


class Clean(Step):
    """Missing values (NaN) and infinities: drop the example, or put a value there.

    mean, median, most_frequent: of the same feature in the train split only. constant: `value`.
    """

    missing: Literal["drop", "mean", "median", "most_frequent", "constant"] = "drop"
    value: Number = 0.0


class Standardise(Step):
    """(x - mean) / standard deviation (biased), both taken from the train split only.

    each: one mean per feature, per channel (the last axis), or one for all values. auto: feature for tables,
    channel for [height, width, channels], all otherwise. A feature that never varies is only centred.
    """

    each: Literal["auto", "feature", "channel", "all"] = "auto"


class MinMax(Step):
    """Maps the train split's smallest and largest value to `low` and `high`. each: as in standardise."""

    low: Number = 0.0
    high: Number = Field(default=1.0, validate_default=True)
    each: Literal["auto", "feature", "channel", "all"] = "auto"

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", -math.inf):
            raise SpecError(f"must be above low ({info.data['low']}), got {high}.")
        return high


class Rescale(Step):
    """x * scale + offset."""

    scale: Number = 1.0
    offset: Number = 0.0


class OneHot(Step):
    """Labels [n] to rows [n, classes] of 0 and 1. For all targets where `arrays` is absent."""

    classes: int | None = Field(default=None, ge=2)


class Flatten(Step):
    """[n, a, b, ...] to [n, a * b * ...]."""


class Channels(Step):
    """[n, height, width] to [n, height, width, 1]."""


class Cast(Step):
    """Another dtype."""

    dtype: Literal["float32", "float64", "int32", "int64"] = "float32"


class _TextStep(Step):
    """What is done with the layer of the same name; a vocabulary that is not given is learned of the train split."""

    max_tokens: int | None = Field(default=None, gt=1)
    output_mode: Literal["int", "multi_hot", "count", "tf_idf"] = "int"
    pad_to_max_tokens: bool = False
    vocabulary: Names = None

    def arguments(self) -> dict[str, Any]:
        """Those of the layer."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "arrays"}
        return {name: value for name, value in fields.items() if name != "vocabulary" or value is not None}


class TextVectorization(_TextStep):
    """Texts to the places of their words in a vocabulary, or to one vector of them, as keras.layers.TextVectorization
    does."""

    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"] | None = (
        "lower_and_strip_punctuation")
    split: Literal["whitespace", "character"] = "whitespace"
    ngrams: int | None = Field(default=None, ge=1)
    output_sequence_length: int | None = Field(default=None, ge=1)


class StringLookup(_TextStep):
    """Texts to their place in a vocabulary, as keras.layers.StringLookup does."""

    num_oov_indices: int = Field(default=1, ge=0)
    mask_token: str | None = None
    oov_token: str = "[UNK]"


TEXT_STEPS = (TextVectorization, StringLookup)
STEPS: Family[Step] = Family(
    "preparation step",
    (Clean, Standardise, MinMax, Rescale, OneHot, Flatten, Channels, Cast, *TEXT_STEPS),
    {"standardize": Standardise, "rescaling": Rescale, "tokenise": "Tokenize"},
    later={"harness.spec.sequence_steps": ("Tokenize", "ToIds", "LanguageModel", "MaskTokens", "SequencePairs",
                                           "Windows", "Reconstruct", "LogMel")},
)


class Augmenter(Configured):
    """Base of all augmentations. They see values as the source has them, before standardise and the like."""

    @classmethod
    def canonical_name(cls) -> str:
        return snake_case(cls.__name__)


class Flip(Augmenter):
    """Mirrors each image with `probability`, left to right (horizontal) or upside down (vertical)."""

    direction: Literal["horizontal", "vertical", "both"] = "horizontal"
    probability: float = Field(default=0.5, ge=0, le=1)


class Shift(Augmenter):
    """Moves each image by up to `height` and `width`: pixels if whole numbers, else a share of the image.

    fill: what comes in at the edge: `constant` (0), the edge's own value, or the other side.
    """

    height: int | float = Field(default=0.1, ge=0)
    width: int | float = Field(default=0.1, ge=0)
    fill: Literal["constant", "nearest", "wrap"] = "constant"


class Crop(Augmenter):
    """Cuts a random window of `share` of the height and width and enlarges it to the old size (nearest)."""

    share: float = Field(default=0.875, gt=0, le=1)


class Noise(Augmenter):
    """Adds normal noise with standard deviation `stddev`, in the source's own unit."""

    stddev: float = Field(default=1.0, ge=0)


AUGMENTERS: Family[Augmenter] = Family("augmentation", (Flip, Shift, Crop, Noise))


def read_list(family: Family[Any], value: Any) -> tuple[Any, ...]:
    """A list of names and {name: arguments}, or a single one."""
    if value is None:
        return ()
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(family.parse(item) for item in items)


class Augmentation(Configured):
    """The augmented training split: the originals, then `copies` changed copies of all of them."""

    steps: Annotated[tuple[Augmenter, ...], BeforeValidator(lambda value: read_list(AUGMENTERS, value))] = ()
    copies: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)

    def to_data(self) -> Any:
        return self.config()


def read_augmentation(value: Any) -> Any:
    """`augment: [flip, noise]` stands for one copy; a mapping with `steps` says more."""
    if value is None or isinstance(value, Augmentation):
        return value or Augmentation()
    if isinstance(value, Mapping) and set(value) & {"steps", "copies", "seed"}:
        return Augmentation(**{str(key): item for key, item in value.items()})
    return Augmentation(steps=value)
