"""Sources of series, sounds and composed pictures, as data."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from harness.errors import SpecError
from harness.spec.sources import FileSource, Source, Texts


class Sunspots(Source):
    """statsmodels' yearly numbers of sunspots, 1700 to 2008: x [309, 1] in the order of time."""


class Co2(Source):
    """statsmodels' weekly carbon dioxide above Mauna Loa, 1958 to 2001, in ppm: x [2284, 1] in the order of time; the
    59 weeks without a measurement lie on the straight line between their neighbours."""


class Series(FileSource):
    """A CSV file whose rows follow each other in time: x [rows, columns].

    columns: what is measured (all numbers where absent, but `time`). time: the column to sort by; it must rise.
    """

    series: str
    columns: Texts = ()
    time: str | None = None
    separator: str = Field(default=",", min_length=1)


def _range(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise SpecError(f"expected [least, most], got {list(value)}.")
    return value


Range = Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_range)]


class Scenes(Source):
    """Pictures composed of Fashion-MNIST's or the digits' own, with the class of every pixel: x [n, height, width, 1]
    bytes, y [n, height, width], 0 for the ground and 1 + the item's label where an item is brighter than a tenth.

    items: the least and the most items of a picture; a later one covers an earlier. noise: the standard deviation of
    what is added to the ground, in grey levels of 255. examples, test: how many; the items of the test pictures are of
    the source's own test set (of the last fifth of the digits), so that no item is in both.
    """

    of: Literal["fashion_mnist", "digits"] = "fashion_mnist"
    size: tuple[PositiveInt, PositiveInt] = (64, 64)
    items: Range = (2, 4)
    noise: float = Field(default=0.0, ge=0, le=128)
    examples: int = Field(default=2000, ge=1)
    test: int = Field(default=400, ge=0)
    seed: int = Field(default=0, ge=0)


class _Recordings(Source):
    """rate: samples per second. seconds: the length of every example: longer ones lose their end, shorter ones are
    filled with silence."""

    rate: int = Field(default=8000, ge=1000, le=192000)
    seconds: float = Field(default=1.0, gt=0, le=600)


class SpokenDigits(_Recordings):
    """The digits zero to nine as Debian's espeak-ng says them: x [n, rate * seconds] in -1..1, 10 classes.

    Spoken once into the cache folder: by every voice in every variant, at every speed (words a minute) and pitch (0 to
    99). held_out: the variants of the test set, which are not trained on; none: split as `split` says.
    words: so many digits one after the other in every example, as many examples as there are words, drawn with `seed`,
    each of one voice throughout; y is then [n, words] of 1 to 10, as the loss "ctc" wants it, whose blank is 0.
    """

    voices: Texts = Field(
        default=("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"),
        min_length=1,
    )
    variants: Texts = Field(default=("m1", "m3", "m7", "f1", "f2", "f4"), min_length=1)
    speeds: tuple[Annotated[int, Field(ge=80, le=450)], ...] = Field(default=(130, 160, 190), min_length=1)
    pitches: tuple[Annotated[int, Field(ge=0, le=99)], ...] = Field(default=(35, 65), min_length=1)
    held_out: Texts = ()
    words: int = Field(default=1, ge=1, le=20)
    seed: int = Field(default=0, ge=0)


class Audio(FileSource, _Recordings):
    """A folder with one subfolder of WAV files per class, or with such folders in `train` and `test`: x [n, rate *
    seconds] in -1..1. Other rates are resampled, channels averaged."""

    audio: str
