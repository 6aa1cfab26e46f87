"""Data that cannot be trained on, and checkpoints of something else. All are found before anything is written."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.bad_inputs.case import Case, Content

RUN = "run e.yaml --out results"
ROWS = "".join(f"{i % 7},{i % 5},{i % 3}\n" for i in range(60))


def experiment(data: str, phase: str = "", model: str = "{mlp: {units: [4]}}") -> str:
    return (f"data: {data}\nrecipe:\n  phases:\n    - {{name: pretrain, epochs: 1{phase}}}\n"
            f"matrix:\n  model: [{model}]\n")


def table(name: str, text: str, *expected: str, data: str = "{source: {csv: t.csv, target: kind}}",
          **more: str) -> Case:
    return Case(name, RUN, expected, {"e.yaml": experiment(data, **more), "t.csv": text})


def archive(**arrays: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        np.savez(path, **arrays)  # type: ignore[arg-type]
    return write


def arrays(name: str, content: Content, *expected: str, **more: str) -> Case:
    return Case(name, RUN, expected, {"e.yaml": experiment("{source: {npz: a.npz}}", **more), "a.npz": content})


def checkpoint(name: str, content: Content, *expected: str) -> Case:
    text = experiment("digits", ", start_from: before.safetensors", "mlp_64_64")
    return Case(name, RUN, expected, {"e.yaml": text, "before.safetensors": content})


def of_another_model(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"hidden_1/kernel": np.zeros((3, 3), np.float32), "head/kernel": np.zeros((3, 3), np.float32)}, str(path),
              {"format": "harness", "schema": "1"})


def torch_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x04")


class Harmful:
    """Unpickling this would make a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("hacked", "w"))  # type: ignore[return-value]


def unreadable_images(path: Path) -> None:
    for kind in ("cat", "dog"):
        (path / kind).mkdir(parents=True)
        (path / kind / "1.png").write_bytes(b"no image")


IMAGES = np.zeros((60, 4, 4), np.float32)
LABELS = np.arange(60) % 3

CASES = (
    table("an empty file", "", r"t\.csv", "empty|no columns|no examples"),
    table("a table without rows", "a,b,kind\n", "no examples|no rows|empty"),
    table("an unknown target", "a,b,kin\n" + ROWS, r"t\.csv|csv", "'kind'", "Did you mean 'kin'"),
    table("an unknown feature", "a,b,kind\n" + ROWS, "'c'", "Did you mean|Known|column",
          data="{source: {csv: t.csv, target: kind, features: [a, c]}}"),
    table("NaN in the data", "a,b,kind\n" + ROWS + ",1,2\n", "nan", "'a'", "missing"),
    table("text in the data", "a,b,kind\n" + ROWS + "red,1,2\n", "'a'", "red|text", "categorical|number"),
    table("a column twice", "a,a,kind\n" + ROWS, r"t\.csv", "'a' stands twice"),
    table("a row too long", "a,b,kind\n" + ROWS + "1,2,3,4,5\n", r"t\.csv", "fields|columns|row"),
    table("more labels than units", "a,b,kind\n" + ROWS, "labels out of range", "0 to 1", "to 2",
          model="{mlp: {units: [4], num_classes: 2}}"),
    table("the target is a quantity", "a,b,kind\n" + "".join(f"1,{i},{i + 0.5}\n" for i in range(60)),
          "integer labels|classes"),
    table("a split that leaves nothing", "a,b,kind\n1,2,0\n2,1,1\n", "examples|split|train"),
    table("more examples than there are", "a,b,kind\n" + ROWS, "100", "example",
          data="{source: {csv: t.csv, target: kind}, split: {test: 100}}"),
    arrays("labels out of range", archive(x=IMAGES, y=LABELS), "labels out of range", "0 to 1",
           model="{mlp: {num_classes: 2}}"),
    arrays("negative labels", archive(x=IMAGES, y=LABELS - 1), "-1", "label|class"),
    arrays("a class missing from the train split",
           archive(x_train=IMAGES[:40], y_train=np.arange(40) % 2, x_test=IMAGES[40:], y_test=LABELS[40:]), "class",
           "2",
           "train"),
    arrays("NaN in the arrays", archive(x=np.where(np.arange(60)[:, None] == 7, np.nan, np.ones((60, 4))), y=LABELS),
           "nan", "example 7|example"),
    arrays("infinity in the arrays", archive(x=np.full((60, 4), np.inf), y=LABELS), "inf"),
    arrays("no examples", archive(x=IMAGES[:0], y=LABELS[:0]), "no examples"),
    arrays("different lengths", archive(x=IMAGES, y=LABELS[:50]), "60", "50", "examples"),
    arrays("no targets", archive(x=IMAGES), r"a\.npz", "'y'"),
    arrays("other names", archive(images=IMAGES, labels=LABELS), r"a\.npz", "'x'", "images"),
    arrays("objects that would run code", archive(x=np.array([Harmful()], dtype=object), y=LABELS[:1]), r"a\.npz",
           "object|pickle"),
    arrays("no archive", b"no archive at all", r"a\.npz", "archive|npz|zip"),
    arrays("text for numbers", archive(x=np.array([["a"] * 4] * 60), y=LABELS), "numbers", "text|<U1"),
    arrays("another shape than the model's", archive(x=IMAGES, y=LABELS), "shape", r"\(28, 28\)|\(5, 5\)", r"\(4, 4\)",
           model="{mlp: {input_shape: [5, 5]}}"),
    arrays("a sparse loss for one-hot targets", archive(x=IMAGES, y=np.eye(3)[LABELS]), "one label", r"\(3,\)",
           "CategoricalCrossentropy"),
    Case("a folder without images", RUN, ("images|classes|folder",),
         {"e.yaml": experiment("{source: {images: pictures}}"), "pictures/readme.txt": "nothing here"}),
    Case("images that are none", RUN, (r"1\.png", "image"),
         {"e.yaml": experiment("{source: {images: pictures}}"), "pictures": unreadable_images}),
    Case("a folder that is not there", RUN, ("no folder", "pictures"),
         {"e.yaml": experiment("{source: {images: pictures}}")}),
    Case("training on a validation set that is not there", RUN, ("validation", "pretrain"),
         {"e.yaml": experiment("{source: digits, split: {validation: 0}}", ", split: validation")}),
    Case("words out of the vocabulary", RUN, ("ids out of range", "5 rows"),
         {"e.yaml": experiment("{source: {npz: a.npz}}", model="{lstm_classifier: {vocabulary: 5}}"),
          "a.npz": archive(x=np.full((60, 4), 9), y=LABELS)}),
    checkpoint("a checkpoint of another model", of_another_model, "another model", "hidden_1/kernel", "head/kernel"),
    checkpoint("a pickle", pickle.dumps(Harmful()), r"before\.safetensors", "pickle"),
    checkpoint("a checkpoint of PyTorch's own", torch_archive, r"before\.safetensors", r"torch\.save"),
    checkpoint("a truncated checkpoint", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", r"before\.safetensors", "safetensors"),
    checkpoint("an empty checkpoint", b"", r"before\.safetensors", "safetensors"),
)
