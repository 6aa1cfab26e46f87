"""What the report shows of a look at the trained models: tables, matrices, images, texts, and nothing from outside."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from harness.records.inspection import FILE, Inspection
from harness.records.record import CorruptRecordError, read_record, write_record
from harness.records.store import Store
from harness.report.inspection_figures import confusion_svg, strip
from harness.report.write import write_report
from tests.report import synthetic

CLASSES = 3
NAMES = ["cat", "dog", "<b>eel</b>"]


def inspection(backend: str, seed: int) -> Inspection:
    """Ten examples of three classes; PyTorch gets example 4 wrong, seed 1 example 7 in both."""
    labels = np.arange(10) % CLASSES
    predicted = labels.copy()
    predicted[4] = 2 if backend == "pytorch" else predicted[4]
    predicted[7] = 0 if seed == 1 else predicted[7]
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    entry = {"output": "scores", "count": CLASSES, "names": NAMES, "elements": False, "kept": 10}
    data: dict[str, Any] = {
        "split": "validation", "examples": 10, "classes": [entry], "notes": ["texts: no words"] if seed else [],
        "images": {"output": "scores", "low": 0.0, "high": 1.0, "mean_squared_errors": [0.25, 0.75]},
        "pairs": [{"source": "<i>one", "target": "eins", "written": f"ein {backend}", "log_probability": -1.0}],
        "seconds": 0.1}
    image = np.full((2, 9, 8, 1), 100, np.uint8)
    return Inspection(data, {"confusion_0": matrix, "label_0": labels, "predicted_0": predicted,
                             "probability_0": np.full(10, 0.875, np.float32), "images_given": image,
                             "images_made": image + 50, "images_sampled": image + 9})


def add(store: Store, backend: str, seed: int, found: Inspection | None) -> None:
    data = synthetic.payload(backend=backend, seed=seed)
    write_record(store.folder(data["id"]), data, synthetic.series(data), {}, found)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    store = Store(folder / "store")
    for backend in ("tensorflow", "pytorch"):
        for seed in (0, 1):
            add(store, backend, seed, inspection(backend, seed))
    return write_report(store, folder / "report").parent


def test_the_page_shows_classes_examples_images_and_texts(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "What the models say" in page
    assert "different classes in 2 of 20 cases (10.00%): PyTorch is right in 0, TensorFlow in 2 of them." in page
    assert "Two seeds of one framework say different classes of 10.00% of them." in page
    row = re.search(r"<tr><th scope=\"row\">0</th><td>4</td>(.*?)</tr>", page)
    assert row is not None
    assert re.findall(r"<td>(.*?)</td>", row[1]) == ["dog", "&lt;b&gt;eel&lt;/b&gt; (87.5%)", "dog (87.5%)"]
    assert page.count('<img src="data:image/png;base64,') == 5  # given once; made and drawn by each
    assert "Mean squared error of those shown: PyTorch 0.5, TensorFlow 0.5" in page
    assert "ein tensorflow" in page
    assert "seed 1: not looked at: texts: no words" in page
    assert "<b>eel" not in page
    assert "<i>one" not in page
    # The pictures are in the page, and the page may show no others.
    assert not re.search(r'src="(?!data:)|https?://', page)
    assert "img-src data:" in page


def test_the_other_files_say_the_same(report: Path) -> None:
    text = (report / "report.md").read_text()
    assert "| dog | 6 | 100.0% | 50.0% | 66.7% | 100.0% | 83.3% | 90.9% |" in text
    data = json.loads((report / "report.json").read_text())
    (view,) = data["inspections"].values()
    (output,) = view["outputs"]
    assert output["frameworks"]["pytorch"]["confusion"] == [[8, 0, 0], [1, 3, 2], [0, 0, 6]]
    assert output["disagreements"]["0"]["shown"][0]["index"] == 4
    rows = list(csv.DictReader(io.StringIO((report / "classes.csv").read_text())))
    assert len(rows) == 2 * CLASSES
    (dog,) = [row for row in rows if row["class"] == "dog" and row["backend"] == "pytorch"]
    assert (dog["support"], dog["predicted"], dog["recall"]) == ("6.0", "3.0", "0.5")


def test_the_same_records_give_the_same_bytes(report: Path, tmp_path: Path) -> None:
    again = write_report(report.parent / "store", tmp_path / "again").parent
    for name in ("report.html", "report.json", "classes.csv"):
        assert (again / name).read_bytes() == (report / name).read_bytes()


def test_runs_that_nobody_looked_at_have_no_section(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    add(store, "tensorflow", 0, None)
    add(store, "pytorch", 0, None)
    folder = write_report(store, tmp_path / "report").parent
    assert "What the models say" not in (folder / "report.html").read_text()
    assert not (folder / "classes.csv").exists()


def test_damaged_arrays_are_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    add(store, "tensorflow", 0, inspection("tensorflow", 0))
    add(store, "pytorch", 0, inspection("pytorch", 0))
    path = store.folder(synthetic.record_id("mlp", "pytorch", 0)) / FILE
    content = path.read_bytes()
    path.write_bytes(content[:-20] + b"x" * 20)  # of the same size
    with pytest.raises(CorruptRecordError, match="no readable arrays"):
        _ = read_record(path.parent).inspection
    page = (write_report(store, tmp_path / "report").parent / "report.html").read_text()
    assert "not inspected:" in page
    assert "What the models say" in page


def test_a_matrix_is_small_and_says_its_counts() -> None:
    matrix = np.array([[5, 1], [0, 4]])
    svg = confusion_svg({"A & B": matrix}, ["x", "y < z"])
    root = ElementTree.fromstring(svg)
    texts = [item.text for item in root.iter("text")]
    assert {"5", "1", "4", "A & B", "y < z"} <= set(texts)
    assert "0" not in texts
    assert max(float(path.attrib["fill-opacity"]) for path in root.iter("path")) == 0.75
    random = np.random.default_rng(0)
    large = confusion_svg({"one": random.integers(0, 99, (50, 50)), "other": random.integers(0, 99, (50, 50))},
                          [str(number) for number in range(50)])
    assert len(large) < 90_000


def test_a_strip_is_the_images_side_by_side() -> None:
    images = np.stack([np.full((4, 3, 3), value, np.uint8) for value in (10, 200)])
    address = strip(images)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert pixels.shape == (4, 8, 3)
    assert (pixels[:, :3] == 10).all()
    assert (pixels[:, 5:] == 200).all()
    masks = np.array([0, 1, 2], np.uint8).reshape(1, 1, 3, 1)
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(strip(masks, 127).partition(",")[2])))).tolist() == \
        [[0, 127, 254]]
