"""IDX files: Fashion-MNIST itself, folders of one's own, and files that are damaged."""

import gzip
import http.server
import shutil
import threading

import numpy as np
import pytest

from harness.data import identity, load
from harness.data.sources import idx
from harness.errors import DataError

NAMES = (idx.TRAIN_IMAGES, idx.TRAIN_LABELS, idx.TEST_IMAGES, idx.TEST_LABELS)


def write_idx(path, array):
    content = (
        bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype("u1").tobytes()
    )
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def folder(tmp_path):
    """A small MNIST-like folder: 40 + 10 images 4 x 5, 3 classes; the test half unpacked."""
    place, random = tmp_path / "small", np.random.default_rng(0)
    place.mkdir()
    for images, labels, n, ending in ((NAMES[0], NAMES[1], 40, ".gz"), (NAMES[2], NAMES[3], 10, "")):
        write_idx(place / (images + ending), random.integers(0, 256, (n, 4, 5)))
        write_idx(place / (labels + ending), np.arange(n) % 3)
    return place


@pytest.fixture
def fashion_mnist():
    """The real set, from Debian's package dataset-fashion-mnist or Keras's cache, or downloaded once."""
    return load({"source": "fashion_mnist", "split": {"validation": 0}})


def test_fashion_mnist(fashion_mnist):
    assert fashion_mnist.examples == {"train": 60000, "test": 10000}
    x, y = fashion_mnist.train.x["x"], fashion_mnist.train.y["y"]
    assert (x.shape, x.dtype, x.min(), x.max()) == ((60000, 28, 28), np.float32, 0, 255)
    assert np.bincount(y).tolist() == [6000] * 10
    # The mean and deviation that everyone's Fashion-MNIST normalisation uses.
    assert x.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert x.std() / 255 == pytest.approx(0.3530, abs=1e-4)
    # The first label of each half is an ankle boot.
    assert y[:5].tolist() == [9, 0, 0, 3, 0]
    assert fashion_mnist.test.y["y"][0] == 9
    assert fashion_mnist.classes == 10


def test_a_folder(folder):
    data = load({"source": {"idx": str(folder)}, "split": {"validation": 10}})
    assert data.examples == {"train": 30, "validation": 10, "test": 10}
    assert data.classes == 3
    assert data.train.x["x"].shape == (30, 4, 5)


def test_identity_follows_the_content(folder):
    before = identity({"idx": str(folder)})
    assert identity({"idx": str(folder)}) == before
    write_idx(folder / (NAMES[3]), np.arange(10) % 2)
    assert identity({"idx": str(folder)}) != before


def test_damaged_files(folder):
    packed = folder / f"{NAMES[0]}.gz"
    content = packed.read_bytes()
    packed.write_bytes(content[:-30])
    with pytest.raises(DataError, match="cannot read"):
        load({"idx": str(folder)})
    packed.write_bytes(gzip.compress(gzip.decompress(content)[:-1]))
    with pytest.raises(DataError, match=r"cut short.*\(40, 4, 5\)"):
        load({"idx": str(folder)})
    packed.write_bytes(gzip.compress(b"no IDX file"))
    with pytest.raises(DataError, match="no IDX file"):
        load({"idx": str(folder)})
    packed.unlink()
    with pytest.raises(DataError, match="no train-images-idx3-ubyte"):
        load({"idx": str(folder)})


def test_images_and_labels_of_different_number(folder):
    write_idx(folder / f"{NAMES[1]}.gz", np.zeros(39))
    with pytest.raises(DataError, match="x/x has 40, y/y has 39"):
        load({"idx": str(folder)})


@pytest.fixture
def server(folder):
    """The folder over HTTP, as the download address serves it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args):
            pass

    for name in NAMES[2:]:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path, folder):
    """No Debian package, an empty cache, and the small folder taken for the published set."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(idx, "DEBIAN_FASHION_MNIST", tmp_path / "nowhere")
    monkeypatch.setattr(idx, "FASHION_MNIST_SHA256", dict.fromkeys(NAMES, ""))
    return tmp_path / "keras" / "datasets" / "fashion-mnist"


def test_download_fills_kerass_cache_once(elsewhere, monkeypatch, server):
    monkeypatch.setattr(idx, "FASHION_MNIST_ORIGIN", server)
    first = load({"source": "fashion_mnist", "classes": 3})
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    monkeypatch.setattr(idx, "FASHION_MNIST_ORIGIN", "http://127.0.0.1:1/")
    assert load({"source": "fashion_mnist", "classes": 3}).fingerprint == first.fingerprint


def test_without_a_network_it_says_where_it_looked(elsewhere, monkeypatch):
    monkeypatch.setattr(idx, "FASHION_MNIST_ORIGIN", "http://127.0.0.1:1/")
    with pytest.raises(
        DataError, match=r"fashion_mnist.*nowhere.*fashion-mnist.*cannot be fetched.*idx: FOLDER"
    ):
        load("fashion_mnist")
    assert not elsewhere.exists(), "nothing is left behind"


def test_another_content_under_the_published_name_is_refused(elsewhere, monkeypatch, folder):
    monkeypatch.setattr(idx, "FASHION_MNIST_SHA256", dict.fromkeys(NAMES, "0" * 64))
    shutil.copytree(folder, elsewhere)
    with pytest.raises(DataError, match="not the published file"):
        load("fashion_mnist")
