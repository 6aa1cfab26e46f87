"""Image folders."""

import numpy as np
import pytest
from PIL import Image

from harness.data import identity, load
from harness.errors import DataError


def _fill(folder, count, size=(6, 5), mode="RGB", seed=0):
    """Writes `count` images of (height, width) `size` and returns their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    shape = (*size, 3) if mode == "RGB" else size
    pixels = [random.integers(0, 256, shape).astype(np.uint8) for _ in range(count)]
    for number, array in enumerate(pixels):
        Image.fromarray(array, mode).save(folder / f"{number:03}.png")
    return np.array(pixels)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    _fill(folder / "cat", 10, seed=1)
    _fill(folder / "ant", 10, seed=2)
    return folder


def test_a_folder_per_class(photos):
    data = load({"images": str(photos), "split": {"validation": 0, "test": 0}})
    assert data.train.x["x"].shape == (20, 6, 5, 3)
    assert data.train.y["y"].tolist() == [0] * 10 + [1] * 10
    assert (data.train.x["x"][10:] == _fill(photos / "cat", 10, seed=1)).all()
    assert data.classes == 2
    assert data.notes == ("Classes by folder: 0 = ant, 1 = cat.",)


def test_size_and_color(photos):
    data = load({"images": str(photos), "size": [4, 8], "color": "grayscale"})
    assert data.train.x["x"].shape == (14, 4, 8, 1)


def test_train_and_test_folders(tmp_path):
    for part, count in (("train", 8), ("test", 3)):
        for name in ("a", "b"):
            _fill(tmp_path / part / name, count)
    data = load({"images": ".", "split": {"validation": 4}}, base=tmp_path)
    assert data.examples == {"train": 12, "validation": 4, "test": 6}


def test_hidden_files_are_passed_over_and_others_refused(photos):
    (photos / "cat" / ".DS_Store").write_bytes(b"x")
    (photos / "cat" / "Thumbs.db").write_bytes(b"x")
    assert load({"images": str(photos)}).examples["train"] == 14
    (photos / "cat" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.txt cannot be read as an image"):
        load({"images": str(photos)})


def test_images_of_several_sizes_need_one(photos):
    _fill(photos / "dog", 3, size=(7, 7))
    with pytest.raises(DataError, match=r"7 x 7, those before it are 6 x 5.*size"):
        load({"images": str(photos)})
    assert load({"images": str(photos), "size": [5, 5]}).classes == 3


def test_folders_without_classes_or_images(photos, tmp_path):
    with pytest.raises(DataError, match="0 class folders"):
        load({"images": str(photos / "cat")})
    (photos / "dog").mkdir()
    with pytest.raises(DataError, match="missing from the train split: 2"):
        load({"images": str(photos)})
    (tmp_path / "none" / "a").mkdir(parents=True)
    (tmp_path / "none" / "b").mkdir()
    with pytest.raises(DataError, match="has no image"):
        load({"images": str(tmp_path / "none")})


def test_a_cut_image(photos):
    path = photos / "cat" / "000.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"000\.png cannot be read"):
        load({"images": str(photos)})


def test_identity_follows_names_and_content(photos):
    before = identity({"images": str(photos)})
    assert before["files"] == 20
    (photos / "cat" / "000.png").rename(photos / "ant" / "zzz.png")
    assert identity({"images": str(photos)}) != before
