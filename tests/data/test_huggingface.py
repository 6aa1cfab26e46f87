"""A folder that `datasets` 5.2.0 wrote (tests/data/huggingface): 12 examples for training, 6 of them for the test."""

import shutil
from pathlib import Path

import pytest

from harness.data import identity, load
from harness.errors import DataError

FOLDER = Path(__file__).parent / "huggingface"


def loaded(features, *steps, target="label", folder=FOLDER, **more):
    return load({"source": {"huggingface": str(folder), "features": features, "target": target}, "prepare": list(steps),
                 "split": {"validation": 0}, **more})


def test_every_kind_of_column():
    data = loaded(["ids", "size", "grid", "image"])
    assert data.examples == {"train": 12, "test": 6}
    assert data.train.x["ids"].tolist() == [[n, n + 1, n + 2] for n in range(12)]
    assert data.train.x["size"].tolist() == [n / 2 for n in range(12)]
    assert data.train.x["grid"].shape == (12, 2, 3)
    assert data.train.x["image"].shape == (12, 4, 5, 1)
    assert data.train.x["image"][:, 0, 0, 0].tolist() == list(range(12))
    assert data.train.y["label"].tolist() == [0, 1] * 6
    assert data.classes == 2
    assert data.vocabularies["label"].tokens == ("bad", "good")


def test_text_and_a_set_without_splits(tmp_path):
    data = loaded("text", {"to_ids": {"units": "word"}})
    assert data.vocabularies["text"].decode(data.test.x["text"][3], " ") == "text 3"
    shutil.copytree(FOLDER / "train", tmp_path / "one")
    one = loaded("ids", folder=tmp_path / "one", limit={"train": 4})
    assert one.train.examples == 4
    assert identity({"huggingface": str(tmp_path / "one"), "features": "ids"})["files"]


def test_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"no column 'lable'.*'label'"):
        loaded("ids", target="lable")
    with pytest.raises(DataError, match=r"cannot read .*state\.json.*save_to_disk"):
        loaded("ids", folder=tmp_path)
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    (copy / "test" / "data-00000-of-00001.arrow").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"cannot read .*\.arrow"):
        loaded("ids", folder=copy)
    (copy / "test" / "state.json").write_text('{"_data_files": [{"filename": "../../../etc/passwd"}]}')
    with pytest.raises(DataError, match=r"cannot read .*copy/test/passwd"):
        loaded("ids", folder=copy)
