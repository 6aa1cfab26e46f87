"""What a look at the trained models found, as what a page prints: classes, examples, images, texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.analysis.inspection import ClassesOfOutput, class_scores, classes_of, inspections
from harness.analysis.settings import Setting, backend_title
from harness.records.inspection import Inspection
from harness.report.inspection_figures import confusion_svg, strip
from harness.report.tables import Table
from harness.report.wording import ABSENT, shown

Found = Mapping[str, Mapping[int, Inspection]]
# Rows of a table of examples.
MOST_EXAMPLES = 10
MOST_CONFUSIONS = 10
IN_WORDS = {"given": "given", "label": "right", "made": "made", "sampled": "of noise"}


@dataclass(frozen=True)
class ClassesView:
    """One output with classes. svg: the confusion matrices; data: the same for report.json and classes.csv."""

    title: str
    caption: str
    svg: str
    scores: Table
    confusions: Table
    apart: Table | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Strip:
    """A row of images: what it shows, and the picture as a data: address."""

    label: str
    address: str


@dataclass(frozen=True)
class InspectionView:
    """One setting."""

    title: str
    classes: list[ClassesView] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    caption: str = ""
    texts: Table | None = None

    @property
    def data(self) -> dict[str, Any]:
        """For report.json."""
        texts = {} if self.texts is None else {"texts": {"columns": self.texts.columns, "rows": self.texts.rows}}
        return {"outputs": [item.data for item in self.classes], **texts}


def views(found: Sequence[Setting], notes: list[str]) -> list[InspectionView]:
    """One for every setting that was looked at and has something to show. What could not be looked at goes to notes."""
    made = []
    for setting in found:
        looked = inspections(setting, notes)
        for backend, seeds in looked.items():
            for seed, item in seeds.items():
                notes += [f"{setting.title}, {backend_title(backend)}, seed {seed}: not looked at: {note}"
                          for note in item.data.get("notes") or ()]
        strips, caption = _strips(looked)
        view = InspectionView(shown(setting.title), [_classes(item) for item in classes_of(looked)], strips, caption,
                              _texts(looked))
        if view.classes or view.strips or view.texts:
            made.append(view)
    return made


def _classes(of: ClassesOfOutput) -> ClassesView:
    titles = [backend_title(backend) for backend in of.matrices]
    matrices = dict(zip(titles, of.matrices.values(), strict=True))
    names = [shown(name) for name in of.names]
    what = "pixels or steps" if of.elements else "examples"
    caption = (f"{shown(of.output)}, on the {shown(of.split)} split: {what} by their label (row) and by what was "
               "predicted (column), all seeds together; the darker, the larger the share of its row.")
    apart, data = _apart(of, names), _data(of)
    return ClassesView(shown(of.output), caption, confusion_svg(matrices, names), _scores(matrices, names, what),
                       _confusions(matrices, names), apart, data)


def _scores(matrices: Mapping[str, np.ndarray], names: Sequence[str], what: str) -> Table:
    found = {title: class_scores(matrix) for title, matrix in matrices.items()}
    rows = [[name, f"{int(next(iter(found.values())).support[place]):,}",
             *(_share(value[place]) for scores in found.values()
               for value in (scores.precision, scores.recall, scores.f1))] for place, name in enumerate(names)]
    rows.append(["all (macro F1, accuracy)", f"{int(next(iter(found.values())).support.sum()):,}",
                 *(text for scores in found.values() for text in (ABSENT, _share(scores.accuracy),
                                                                  _share(scores.macro_f1)))])
    columns = ["class", what, *(f"{title}: {word}" for title in found for word in ("precision", "recall", "F1"))]
    caption = "All seeds together. In the last row recall is the accuracy, F1 the mean over the classes."
    return Table("Precision, recall and F1 of each class", caption, columns, rows)


def _confusions(matrices: Mapping[str, np.ndarray], names: Sequence[str]) -> Table:
    """The pairs that are confused most, by the larger of the frameworks' counts."""
    wrong = {title: matrix - np.diag(np.diag(matrix)) for title, matrix in matrices.items()}
    most = np.maximum.reduce(list(wrong.values()))
    order = np.argsort(-most, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [divmod(int(place), len(names)) for place in order]
    rows = [[names[label], names[said], *(f"{int(matrix[label, said]):,}" for matrix in wrong.values())]
            for label, said in places if most[label, said]]
    return Table("Confused most often", "", ["label", "predicted", *wrong], rows)


def _apart(of: ClassesOfOutput, names: Sequence[str]) -> Table | None:
    """Examples of which the two frameworks say different classes."""
    if not of.apart:
        return None
    one, other = (backend_title(backend) for backend in sorted(of.matrices)[:2])
    counts, examples = [item.count for item in of.apart.values()], sum(item.examples for item in of.apart.values())
    right = [sum(item.right[side] for item in of.apart.values()) for side in (0, 1)]
    chance = "" if of.chance is None else \
        f" Two seeds of one framework say different classes of {of.chance:.2%} of them."
    caption = (
        f"Of the same example, with the same seed, the two say different classes in {sum(counts):,} of {examples:,} "
        f"cases ({sum(counts) / max(examples, 1):.2%}): {one} is right in {right[0]:,}, {other} in {right[1]:,} of "
        f"them.{chance} Shown: those of which both are surest; index: in the split, from 0.")
    shown_ones = [item for found in of.apart.values() for item in found.shown]
    shown_ones = sorted(shown_ones, key=lambda item: (-min(p for _, p in item.predictions), item.seed, item.index))
    rows = [[str(item.seed), str(item.index), names[item.label],
             *(f"{names[said]} ({_share(probability)})" for said, probability in item.predictions)]
            for item in shown_ones[:MOST_EXAMPLES]]
    return Table("Where the two disagree", caption, ["seed", "index", "label", one, other], rows)


def _data(of: ClassesOfOutput) -> dict[str, Any]:
    data: dict[str, Any] = {"output": of.output, "split": of.split, "classes": list(of.names), "frameworks": {}}
    for backend, matrix in of.matrices.items():
        scores = class_scores(matrix)
        data["frameworks"][backend] = {
            "seeds": of.seeds[backend], "confusion": matrix.tolist(), "accuracy": scores.accuracy,
            "macro_f1": scores.macro_f1,
            **{name: getattr(scores, name).tolist() for name in ("precision", "recall", "f1", "support", "predicted")}}
    data["disagreements"] = {str(seed): {
        "examples": item.examples, "count": item.count, "right": list(item.right),
        "shown": [{"index": one.index, "label": one.label, "predictions": [list(said) for said in one.predictions]}
                  for one in item.shown]} for seed, item in of.apart.items()}
    return {**data, "disagreements_between_seeds": of.chance}


def classes_rows(made: Sequence[InspectionView]) -> list[dict[str, Any]]:
    """The rows of classes.csv: one for each setting, output, framework and class."""
    return [
        {"setting": view.title, "output": output.data["output"], "split": output.data["split"], "backend": backend,
         "seeds": found["seeds"], "class": name,
         **{key: found[key][place] for key in ("support", "predicted", "precision", "recall", "f1")}}
        for view in made for output in view.classes for backend, found in output.data["frameworks"].items()
        for place, name in enumerate(output.data["classes"])]


def _share(value: float) -> str:
    return f"{float(value):.1%}"


def _first(found: Found) -> dict[str, Inspection]:
    """backend -> the inspection of the smallest seed that all have, else of its own smallest."""
    common = set.intersection(*(set(seeds) for seeds in found.values())) if found else set()
    return {backend: seeds[min(common or seeds)] for backend, seeds in found.items()}


def _strips(found: Found) -> tuple[list[Strip], str]:
    """The images of one seed: given ones once, then what each framework made of them, and of noise."""
    strips: list[Strip] = []
    entries = []
    for backend, item in _first(found).items():
        entry = item.data.get("images")
        if not isinstance(entry, Mapping):
            continue
        entries.append((backend_title(backend), entry))
        # Masks hold classes, spread over the grays.
        spread = 255 // max(int(entry.get("masks") or 0) - 1, 1)
        for kind in ("given", "label", "made", "sampled"):
            images = item.arrays.get(f"images_{kind}")
            if images is None or (kind in ("given", "label") and len(entries) > 1):
                continue
            factor = spread if "masks" in entry and kind != "given" else 1
            owner = "" if kind in ("given", "label") else f", {backend_title(backend)}"
            strips.append(Strip(shown(IN_WORDS[kind] + owner), strip(images, factor)))
    # A number that is none stands there as a word.
    known = {title: [value for value in entry.get("mean_squared_errors") or () if not isinstance(value, str)]
             for title, entry in entries}
    errors = [f"{title} {float(np.mean(values)):.4g}" for title, values in known.items() if values]
    caption = "The first examples of the split, of the smallest seed."
    return strips, shown(f"{caption} Mean squared error of those shown: {', '.join(errors)}." if errors else caption)


def _texts(found: Found) -> Table | None:
    """Texts of one seed side by side."""
    items = {backend_title(backend): item.data for backend, item in _first(found).items()}
    for kind, front, word, title in (
            ("texts", ("prompt",), "text", "How the models go on"),
            ("pairs", ("source", "target"), "written", "What the models answer")):
        lists = {name: data[kind] for name, data in items.items() if data.get(kind)}
        if lists:
            rows = [[*(shown(row[0][key]) for key in front), *(shown(one[word]) for one in row)]
                    for row in zip(*lists.values(), strict=False)]
            caption = "Of the smallest seed. " + (
                "Drawn at temperature 0.8 with the same random numbers." if kind == "texts" else
                "The likeliest text that a beam of 4 finds; with CTC the likeliest class of each step.")
            return Table(title, caption, [*front, *lists], rows)
    return None
