"""The experiment: the question, the matrix of what is run, and the margin that counts as a difference.

    question: Which framework trains the reference programs faster?
    data: {source: digits, prepare: [standardise]}
    recipe: {optimizer: adam, batch_size: 32, phases: [{name: pretrain, epochs: 5}]}
    execution: {threads: 1}
    matrix:
      model: [mlp_64_64, {simple_cnn: {num_classes: 10}}]
      backend: [tensorflow, pytorch]
      batch_size: [32, 128]
      recipe.optimizer.learning_rate: [0.001, 0.01]
      seed: [0, 1, 2]
    exclude: [{model: mlp_64_64, batch_size: 128}]
    verdict: {primary: samples_per_second, margin: 0.03, accuracy_margin: 0.005, target: {val_accuracy: 0.9}}
    timing: {looks: [6, 12, 24], window_seconds: 5}

An axis is `model`, `data`, `backend`, `seed`, a field of the execution (`tier`) or of the recipe
(`batch_size`), or a dotted path. `variants` lists named changes of model, data, recipe and execution; the
matrix is run for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.axes import SECTIONS, read_axes, read_exclusions, target, where, with_value
from harness.spec.explicit import explicit
from harness.spec.files import Document, read_document
from harness.spec.judging import Judging
from harness.spec.overrides import apply_override, located
from harness.spec.timing import Timing

KEYS = ("name", "question", "model", "data", "recipe", "execution", "backend", "seed", "matrix", "variants",
        "exclude", "verdict", "certify", "timing", "inspect")
VARIANT_KEYS = ("name", "model", "data", "recipe", "execution")
DEFAULT_LOSS = "sparse_categorical_crossentropy"
DEFAULT_QUESTION = "Do both frameworks train these models equally well, and which trains them faster?"


@dataclass(frozen=True)
class Variant:
    """Named changes of the base. changes: model, data, recipe, execution as written."""

    name: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """An experiment as written, checked key by key. Made by `Experiment.parse` or `read_experiment`.

    base: {"model", "data", "recipe", "execution"} in plain data, what the axes change. axes: axis -> its
    values, `backend` and `seed` always among them. folder: where relative paths start. overrides: what
    `read_experiment` applied to the file. certify: whether a run certifies its trainings before it times them.
    timing: how the backends are timed against each other, None where they are not. inspect: whether a trained model is
    looked at (classes it confuses, images and texts it makes).
    """

    name: str
    question: str
    base: Mapping[str, Any]
    axes: Mapping[str, tuple[Any, ...]]
    variants: tuple[Variant, ...]
    exclude: tuple[Mapping[str, Any], ...]
    verdict: Judging
    folder: Path | None = None
    document: Document | None = field(default=None, repr=False, compare=False)
    overrides: tuple[str, ...] = ()
    certify: bool = True
    timing: Timing | None = field(default_factory=Timing)
    inspect: bool = True

    @classmethod
    def parse(cls, value: Any, *, name: str = "experiment", folder: Path | None = None,
              document: Document | None = None) -> "Experiment":
        """Reads an Experiment or a mapping with the keys above. Raises SpecError with file and line."""
        if isinstance(value, cls):
            return value
        experiment = _read(value, name, folder, document)
        _check_values(experiment)
        return experiment

    def where(self, *keys: Any) -> str:
        """File and line of these keys, or the dotted path where there is no file."""
        return where(self.document, keys)

    def settings(self, changes: Mapping[str, Any], variant: Variant | None = None) -> dict[str, Any]:
        """The base in plain data with a variant's changes and the axes' values put in.

        changes: axis -> value; `backend` and `seed` are not part of it.
        """
        data = dict(self.base)
        for key, value in (variant.changes if variant else {}).items():
            merge = key in SECTIONS and isinstance(value, Mapping) and isinstance(data[key], Mapping)
            data[key] = {**data[key], **value} if merge else value
        for axis, value in changes.items():
            data = with_value(data, target(axis), value)
        return data

    def to_data(self) -> dict[str, Any]:
        """The experiment with every default written out, as plain data; reads back to the same cells."""
        written: dict[str, Any] = {
            "name": self.name,
            "question": self.question,
            "model": self.base["model"],
            **{key: explicit(section.parse(self.base[key])) for key, section in SECTIONS.items()},
            "matrix": {axis: list(values) for axis, values in self.axes.items()},
        }
        if self.variants:
            written["variants"] = [{"name": item.name, **item.changes} for item in self.variants]
        if self.exclude:
            written["exclude"] = [dict(item) for item in self.exclude]
        timing = False if self.timing is None else explicit(self.timing)["timing"]
        return {**written, "verdict": explicit(self.verdict)["verdict"], "certify": self.certify, "timing": timing,
                "inspect": self.inspect}


def read_experiment(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment in a .yaml or .json file. overrides: "key=value" with a YAML value, such as
    "recipe.epochs=3", "matrix.seed=[0, 1]" or "tier=idiomatic". Raises SpecError with file and line."""
    path = Path(path)
    document = read_document(path)
    data = _mapping(document.data if document.data is not None else {}, document)
    data = with_defaults(data)
    for override in overrides:
        data = apply_override(data, override, KEYS)
    experiment = Experiment.parse(data, name=path.stem, folder=path.resolve().parent, document=document)
    return replace(experiment, overrides=tuple(overrides))


def _read(value: Any, name: str, folder: Path | None, document: Document | None) -> Experiment:
    given = _mapping(value, document)
    for key in given:
        if key not in KEYS:
            raise SpecError(f"unknown key {key!r}.", where=where(document, (key,)), hint=did_you_mean(key, KEYS))
    given = with_defaults(given)
    base = {key: given.get(key) for key in ("model", *SECTIONS)}
    if isinstance(base["recipe"], Mapping):
        base["recipe"] = {"loss": DEFAULT_LOSS, **base["recipe"]}
    verdict = given.get("verdict") or {}
    if not isinstance(verdict, Mapping):
        raise SpecError(f"'verdict' is a mapping, got {verdict!r}.", where=where(document, ("verdict",)))
    with located(document, ("verdict",), verdict):
        judging = Judging(**{str(key): item for key, item in verdict.items()})
    switches = {key: given.get(key, True) for key in ("certify", "inspect")}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise SpecError(f"{key!r} is true or false, got {value!r}.", where=where(document, (key,)))
    with located(document, ("timing",), given.get("timing")):
        timing = Timing.parse(given.get("timing"))
    return Experiment(
        name=_text(given.get("name", name), "name", document, filename=True),
        question=_text(given.get("question", DEFAULT_QUESTION), "question", document),
        base=base, axes=read_axes(given, document), variants=_variants(given.get("variants"), document),
        exclude=read_exclusions(given, document), verdict=judging, folder=folder, document=document,
        timing=timing, **switches,
    )


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that are not there filled in, so that an override finds something to change."""
    defaults: dict[str, Any] = {"data": "digits", "recipe": {"metrics": ["accuracy"]}, "execution": {}}
    return {**given, **{key: value for key, value in defaults.items() if given.get(key) is None}}


def _mapping(value: Any, document: Document | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(f"an experiment is a mapping with the keys {', '.join(KEYS)}, got {type(value).__name__}.",
                        where=where(document, ()))
    return {str(key): item for key, item in value.items()}


def _text(value: Any, key: str, document: Document | None, filename: bool = False) -> str:
    if not isinstance(value, str) or not value:
        raise SpecError(f"{key!r} is text, got {value!r}.", where=where(document, (key,)))
    if filename and (set(value) & set('/\\:*?"<>|\0\n') or value in (".", "..")):
        raise SpecError(f"the name {value!r} cannot name a folder.", where=where(document, (key,)))
    return value


def _variants(value: Any, document: Document | None) -> tuple[Variant, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not value:
        raise SpecError("'variants' is a list of {name: ..., recipe: ...}.", where=where(document, ("variants",)))
    found: list[Variant] = []
    for index, item in enumerate(value):
        spot = where(document, ("variants", index))
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"]:
            raise SpecError(f"a variant is a mapping with a name, got {item!r}.", where=spot)
        for key in item:
            if key not in VARIANT_KEYS:
                raise SpecError(f"unknown key {key!r}.", where=where(document, ("variants", index, key)),
                                hint=did_you_mean(key, VARIANT_KEYS))
        if item["name"] in [other.name for other in found]:
            raise SpecError(f"two variants are named {item['name']!r}.", where=spot)
        found.append(Variant(item["name"], {key: item[key] for key in item if key != "name"}))
    return tuple(found)


def _check_values(experiment: Experiment) -> None:
    """Every section, variant and axis value is read once, so that a mistake is named where it stands."""
    for key, section in SECTIONS.items():
        with located(experiment.document, (key,), experiment.base[key]):
            section.parse(experiment.base[key])
    for index, variant in enumerate(experiment.variants):
        for key, value in variant.changes.items():
            with located(experiment.document, ("variants", index, key), value):
                if key in SECTIONS:
                    SECTIONS[key].parse(experiment.settings({}, variant)[key])
    for axis, values in experiment.axes.items():
        for index, value in enumerate(values):
            with located(experiment.document, ("matrix", axis, index), value):
                _check_value(experiment, axis, value)
    _check_model(experiment)


def _check_value(experiment: Experiment, axis: str, value: Any) -> None:
    if axis == "seed":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise SpecError(f"a seed is a whole number of at least 0, got {value!r}.")
    elif axis == "backend":
        if not isinstance(value, str):
            raise SpecError(f"a backend is a name, got {value!r}.", hint="Known: tensorflow, pytorch.")
    elif (path := target(axis))[0] in SECTIONS:
        # A path may name a phase that only a variant has.
        for variant in experiment.variants or (None,):
            if variant is None or not _left_out(experiment, variant.name, axis, value):
                SECTIONS[path[0]].parse(experiment.settings({axis: value}, variant)[path[0]])


def _left_out(experiment: Experiment, variant: str, axis: str, value: Any) -> bool:
    """Whether `exclude` leaves out the value of this axis for the variant, whatever the others are."""
    chosen = {"variant": variant, axis: value}
    return any(
        all(key in chosen and chosen[key] in (wanted if isinstance(wanted, list) else [wanted])
            for key, wanted in item.items())
        for item in experiment.exclude
    )


def _check_model(experiment: Experiment) -> None:
    places = [variant for variant in experiment.variants if variant.changes.get("model") is not None]
    everywhere = bool(experiment.variants) and len(places) == len(experiment.variants)
    if "model" in experiment.axes and (places or experiment.base["model"] is not None):
        other = "in a variant" if places else "at the top"
        raise SpecError(f"the model is given twice: in the matrix, and {other}.",
                        where=experiment.where("matrix", "model"), hint="Keep one of them.")
    if experiment.base["model"] is None and "model" not in experiment.axes and not everywhere:
        raise SpecError("no model is given.", where=experiment.where(),
                        hint="Write matrix: {model: [mlp]}, or model: mlp.")
