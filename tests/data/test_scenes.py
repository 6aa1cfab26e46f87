"""Composed scenes and folders of images with masks: the class of every pixel."""

import numpy as np
import pytest
from PIL import Image

from harness.data import identity, load
from harness.data.sources import scenes
from harness.errors import DataError
from harness.spec.signal_sources import Scenes


def test_the_mask_says_where_which_item_is():
    source = {"scenes": {"of": "digits", "examples": 60, "test": 20, "size": [40, 48], "items": [1, 1]}}
    data = load({"source": source, "split": {"validation": 10}})
    assert data.examples == {"train": 50, "validation": 10, "test": 20}
    assert data.classes == 11
    assert data.vocabularies["y"].tokens == ("ground", *"0123456789")
    for picture, mask in zip(data.train.x["x"][..., 0], data.train.y["y"], strict=True):
        assert (mask > 0).any()
        assert len(np.unique(mask)) == 2, "one item and the ground"
        assert ((picture > 25.5) == (mask > 0)).all()


def test_a_later_item_covers_an_earlier_and_nothing_is_shared_with_the_test():
    source = Scenes(of="digits", examples=40, test=40, items=(3, 3))
    raw = scenes.read(source, None)
    again = scenes.read(source, None)
    assert (raw.train.x["x"] == again.train.x["x"]).all()
    assert (scenes.read(source.model_copy(update={"seed": 1}), None).train.x["x"] != raw.train.x["x"]).any()
    (train, _), (test, _) = scenes._pools(source)
    assert len(train) + len(test) == 1797
    counts = [len(np.unique(mask)) - 1 for mask in raw.train.y["y"]]
    assert 2 < np.mean(counts) <= 3
    noisy = scenes.read(source.model_copy(update={"noise": 20.0}), None)
    assert noisy.train.x["x"][noisy.train.y["y"] == 0].mean() == pytest.approx(20 * np.sqrt(2 / np.pi), abs=1)


def test_what_is_reconstructed_has_no_classes():
    source = {"scenes": {"of": "digits", "examples": 60, "test": 20}}
    data = load({"source": source, "split": {"validation": 10}, "prepare": ["reconstruct"]})
    assert (data.classes, data.vocabularies) == (None, {})
    assert (data.train.y["y"] == data.train.x["x"]).all()


def test_scenes_too_small():
    with pytest.raises(DataError, match="do not hold items of 24 x 24"):
        load({"scenes": {"of": "digits", "size": [20, 40]}})


@pytest.fixture
def folders(tmp_path):
    """Eight images 6 x 5 and their masks of 3 classes; the masks as palette, grey and larger pictures."""
    random = np.random.default_rng(0)
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    for n in range(8):
        Image.fromarray(random.integers(0, 256, (6, 5, 3)).astype(np.uint8)).save(tmp_path / "photos" / f"{n}.jpg")
        mask = Image.fromarray((np.arange(30).reshape(6, 5) % 3).astype(np.uint8), "P" if n % 2 else "L")
        if n % 2:
            mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        mask.save(tmp_path / "masks" / f"{n}.png")
    return tmp_path


def test_folders_of_images_and_masks(folders):
    source = {"images": str(folders / "photos"), "masks": str(folders / "masks")}
    data = load({"source": source, "split": {"validation": 2, "test": 2}})
    assert data.train.x["x"].shape == (4, 6, 5, 3)
    assert (data.train.y["y"] == np.arange(30).reshape(6, 5) % 3).all()
    assert data.train.y["y"].dtype == np.int64
    assert data.classes == 3
    resized = load({"source": {**source, "size": [12, 10]}, "split": {"validation": 2, "test": 2}})
    assert (resized.train.y["y"] == (np.arange(30).reshape(6, 5) % 3).repeat(2, 0).repeat(2, 1)).all()
    before = identity(source)
    (folders / "masks" / "0.png").write_bytes((folders / "masks" / "2.png").read_bytes() + b" ")
    assert identity(source) != before


def test_masks_that_do_not_fit(folders):
    source = {"images": str(folders / "photos"), "masks": str(folders / "masks")}
    Image.new("RGB", (5, 6)).save(folders / "masks" / "0.png")
    with pytest.raises(DataError, match=r"0\.png is a picture in colours"):
        load(source)
    Image.new("L", (6, 6)).save(folders / "masks" / "0.png")
    with pytest.raises(DataError, match=r"0\.png is 6 x 6, 0\.jpg is 6 x 5"):
        load(source)
    (folders / "masks" / "0.png").unlink()
    with pytest.raises(DataError, match=r"'0' is in one of them"):
        load(source)
