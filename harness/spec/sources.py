"""Where examples come from: named sets and the user's own files, as data.

A named set is written by its name, with arguments where it has any: `digits`, `{imdb: {maxlen: 100}}`. A file
is written by its kind: `{npz: path}`, `{csv: path, target: column}`, `{images: folder}`. Relative paths are
relative to the file that names them (harness/data/sources/files.py says what is refused). Texts, signals and
composed scenes have files of their own, imported when one of them is asked for.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import Configured, plain, snake_case


class Source(Configured):
    """Base of all sources. `name` is what reports call it."""

    @classmethod
    def canonical_name(cls) -> str:
        return snake_case(cls.__name__)

    @property
    def name(self) -> str:
        return self.canonical_name()


class Digits(Source):
    """scikit-learn's digits: 1,797 images 8 x 8, values 0..16, 10 classes."""


class BreastCancer(Source):
    """scikit-learn's breast cancer: 569 examples, 30 features, 2 classes."""


class Wine(Source):
    """scikit-learn's wine: 178 examples, 13 features, 3 classes."""


class Diabetes(Source):
    """scikit-learn's diabetes: 442 examples, 10 features, a quantity as target."""


class FashionMnist(Source):
    """Fashion-MNIST: 60,000 + 10,000 images 28 x 28, values 0..255, 10 classes."""


class Mnist(Source):
    """MNIST: 60,000 + 10,000 images 28 x 28, values 0..255, 10 classes."""


class Cifar10(Source):
    """CIFAR-10: 50,000 + 10,000 images 32 x 32 x 3, values 0..255, 10 classes."""


class Imdb(Source):
    """IMDB reviews as word indices, 25,000 + 25,000, 2 classes; Keras's arguments and their meaning.

    maxlen: the length of every sequence: longer reviews lose their beginning, shorter ones are padded with 0
    in front (keras.utils.pad_sequences' defaults).
    """

    num_words: int | None = Field(default=10000, ge=4)
    maxlen: int = Field(default=200, ge=1)
    skip_top: int = Field(default=0, ge=0)


def _texts(value: Any) -> Any:
    """One column name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class FileSource(Source):
    """Base of sources that are files; the first field has the kind's own name and is the path."""

    @property
    def path(self) -> str:
        return str(getattr(self, self.canonical_name()))

    @property
    def name(self) -> str:
        parts = [part for part in self.path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        return parts[-1] if parts else self.canonical_name()

    def to_data(self) -> Any:
        """{kind: path, option: value}: the notation in which users write it."""
        return self.config()


class Npz(FileSource):
    """A NumPy archive: `x`, `y`, or `x_train`, `y_train`, `x_test`, `y_test` (and `x_val`, `y_val`).

    inputs, targets: the names of the arrays, without _train, _val or _test.
    """

    npz: str
    inputs: Texts = ("x",)
    targets: Texts = ("y",)


class Table(FileSource):
    """Base of files with named columns.

    target: one column, or several for several quantities. features: the columns to learn from (all others
    where absent). categorical: text columns, turned into one 0/1 column per value. text: columns that become inputs
    of their own, by their names, as text that a step of `prepare` turns into ids (string_lookup, tokenize, ...).
    validation, test: further files with the same columns.
    """

    target: Texts = Field(min_length=1)
    features: Texts | None = None
    categorical: Texts = ()
    text: Texts = ()
    validation: str | None = None
    test: str | None = None


class Csv(Table):
    """A CSV file with a header line."""

    csv: str
    target: Texts = Field(min_length=1)
    separator: str = Field(default=",", min_length=1)


class Parquet(Table):
    """A Parquet file."""

    parquet: str
    target: Texts = Field(min_length=1)


class Images(FileSource):
    """A folder with one subfolder of images per class, or with such folders in `train` and `test`.

    size: [height, width]: images are resized to it; without it they must all have one size.
    masks: a folder of images of the same names (of any ending) whose values are the class of every pixel: then the
    images lie in one folder without classes.
    """

    images: str
    size: tuple[PositiveInt, PositiveInt] | None = None
    color: Literal["rgb", "grayscale"] = "rgb"
    masks: str | None = None


class Idx(FileSource):
    """A folder of IDX files under MNIST's own names (train-images-idx3-ubyte, with .gz or without)."""

    idx: str


class Arrays(FileSource):
    """An archive that `harness.data.save` wrote: taken exactly as it is, splits included."""

    arrays: str


class Kinds(Mapping[str, type[Source]]):
    """Sources by the name of their kind. later: {module: {kind: class}} for those imported when first asked for."""

    def __init__(
        self, classes: Iterable[type[Source]], later: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._classes = {cls.canonical_name(): cls for cls in classes}
        self._waiting = {
            kind: (module, name) for module, kinds in (later or {}).items() for kind, name in kinds.items()
        }
        self._names = (*self._classes, *self._waiting)

    def __getitem__(self, kind: str) -> type[Source]:
        if kind in self._waiting:
            module, name = self._waiting.pop(kind)
            self._classes[kind] = getattr(importlib.import_module(module), name)
        return self._classes[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


_TEXTS, _SIGNALS = "harness.spec.text_sources", "harness.spec.signal_sources"
NAMED = Kinds(
    (Digits, BreastCancer, Wine, Diabetes, FashionMnist, Mnist, Cifar10, Imdb),
    {
        _TEXTS: {"wordnet": "WordNet", "cmudict": "CmuDict", "king_james_bible": "KingJamesBible"},
        _SIGNALS: {"sunspots": "Sunspots", "co2": "Co2", "scenes": "Scenes", "spoken_digits": "SpokenDigits"},
        "harness.spec.game_sources": {"gymnasium": "Gymnasium"},
    },
)
FILES = Kinds(
    (Npz, Csv, Parquet, Images, Idx, Arrays),
    {
        _TEXTS: {"text_file": "TextFile", "huggingface": "Huggingface"},
        _SIGNALS: {"series": "Series", "audio": "Audio"},
    },
)
KINDS: dict[str, Kinds] = {kind: kinds for kinds in (NAMED, FILES) for kind in kinds}


def parse_source(value: Any) -> Source:
    """Reads a source in any notation. Raises SpecError with the nearest known name."""
    if isinstance(value, Source):
        return value
    if isinstance(value, str):
        return _named(value)
    if isinstance(value, Mapping):
        kinds = [str(key) for key in value if str(key) in KINDS]
        if len(kinds) == 1:
            return _of_kind(kinds[0], {str(key): item for key, item in value.items()})
        if len(kinds) > 1:
            raise SpecError(f"one source was expected, got {' and '.join(kinds)}.", hint="Keep one of them.")
        first = next(iter(value), "")
        raise SpecError(f"unknown source {first!r}.", hint=did_you_mean(first, KINDS))
    raise SpecError(f"cannot read {value!r} as a source.", hint="Write a name (digits) or {kind: path}.")


def _named(text: str) -> Source:
    folded = text.replace("-", "_").lower()
    if folded in NAMED:
        return NAMED[folded]()
    if text.lower().endswith(".npz"):
        return Npz(npz=text)
    for ending in (".csv", ".parquet"):
        if text.lower().endswith(ending):
            kind = ending[1:]
            raise SpecError(
                f"the table {text!r} needs a target column.",
                hint=f"Write {{{kind}: {text}, target: COLUMN}}.",
            )
    if folded in FILES:
        raise SpecError(f"the source {text!r} needs a path.", hint=f"Write {{{folded}: PATH}}.")
    raise SpecError(f"unknown source {text!r}.", hint=did_you_mean(text, KINDS))


def _of_kind(kind: str, value: dict[str, Any]) -> Source:
    inner = value[kind]
    if kind in FILES and not isinstance(inner, Mapping):
        return FILES[kind](**value)
    if len(value) > 1:
        others = ", ".join(key for key in value if key != kind)
        raise SpecError(
            f"the source {kind!r} takes its arguments inside: found {others} beside it.",
            hint=f"Write {{{kind}: {{argument: value}}}}.",
        )
    if inner is None:
        inner = {}
    if not isinstance(inner, Mapping):
        raise SpecError(
            f"the arguments of the source {kind!r} must be a mapping, got {plain(inner)!r}.",
            hint=f"Write {kind} alone, or {{{kind}: {{argument: value}}}}.",
        )
    return KINDS[kind][kind](**{str(key): item for key, item in inner.items()})
