"""MNIST, CIFAR-10 and IMDB as Keras's cache holds them, in small; pickles that want more are refused."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from harness.data import identity, load
from harness.data.sources import published
from harness.data.sources.pickled import unpickle
from harness.errors import DataError
from harness.spec import sources as spec

RANDOM = np.random.default_rng(0)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty Keras cache, and a function that puts a file there as the published one."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()

    def put(source, name, content):
        (tmp_path / "datasets" / name).write_bytes(content)
        old = published.ARCHIVES[source]
        sha256 = hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(
            published.ARCHIVES, source, published.Archive(old.names, "http://127.0.0.1:1/x", sha256)
        )

    return put


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_mnist(cache):
    x, y = RANDOM.integers(0, 256, (50, 28, 28)).astype(np.uint8), (np.arange(50) % 10).astype(np.uint8)
    cache(spec.Mnist, "mnist.npz", _npz(x_train=x, y_train=y, x_test=x[:10], y_test=y[:10]))
    data = load({"source": "mnist", "split": {"validation": 0}})
    assert data.examples == {"train": 50, "test": 10}
    assert (data.train.x["x"] == x).all()
    assert identity("mnist")["sha256"] == published.ARCHIVES[spec.Mnist].sha256


def test_cifar10_becomes_channels_last(cache):
    rows = RANDOM.integers(0, 256, (10, 3072)).astype(np.uint8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            # Protocol 2 with byte keys, as the published archive has them.
            content = pickle.dumps({b"data": rows, b"labels": list(range(10))}, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    cache(spec.Cifar10, "cifar-10-batches-py-target_archive", buffer.getvalue())
    data = load({"source": "cifar10", "split": {"validation": 0}})
    assert data.train.x["x"].shape == (50, 32, 32, 3)
    assert (data.train.x["x"][3, :, :, 1] == rows[3].reshape(3, 32, 32)[1]).all()
    assert data.examples["test"] == 10


def test_imdb_is_what_keras_makes_of_it():
    """By keras.datasets.imdb.load_data and pad_sequences: start 1, words + 3, unknown 2, cut in front."""
    reviews = np.array([[1, 5, 9], [2, 20, 3, 4, 5, 6]], dtype=object)
    x = published.sequences(reviews, spec.Imdb(num_words=10, maxlen=5))
    assert x.tolist() == [[0, 1, 4, 8, 2], [2, 6, 7, 8, 9]]
    assert published.sequences(reviews, spec.Imdb(num_words=None, maxlen=7))[1].tolist() == [
        1,
        5,
        23,
        6,
        7,
        8,
        9,
    ]


def test_imdb(cache):
    reviews = np.empty(8, dtype=object)
    reviews[:] = [list(range(1, 3 + i)) for i in range(8)]
    content = io.BytesIO()
    np.savez(content, x_train=reviews, y_train=np.arange(8) % 2, x_test=reviews[:4], y_test=np.arange(4) % 2)
    cache(spec.Imdb, "imdb.npz", content.getvalue())
    data = load({"source": {"imdb": {"maxlen": 6}}, "split": {"validation": 0}})
    assert data.train.x["x"].dtype == np.int32
    # Keras's order of eight: numpy.random.RandomState(113).shuffle.
    order = np.arange(8)
    np.random.RandomState(113).shuffle(order)
    assert data.train.y["y"].tolist() == (order % 2).tolist()
    assert data.train.x["x"][list(order).index(0)].tolist() == [0, 0, 0, 1, 4, 5]
    # The test half goes on with the same generator.
    random = np.random.RandomState(113)
    order_test = np.arange(4)
    random.shuffle(np.arange(8))
    random.shuffle(order_test)
    assert data.test.y["y"].tolist() == (order_test % 2).tolist()
    assert data.classes == 2


@pytest.mark.parametrize("harmful", [exec, eval, __import__, np.load, getattr])
def test_pickles_with_more_than_arrays_are_refused(harmful):
    class Bomb:
        def __reduce__(self):
            return (harmful, ("1",))

    with pytest.raises(DataError, match="it asks for"):
        unpickle(io.BytesIO(pickle.dumps(Bomb())), "archive")


def test_a_changed_archive_is_refused(cache, tmp_path):
    cache(spec.Mnist, "mnist.npz", _npz(x_train=np.zeros(3)))
    (tmp_path / "datasets" / "mnist.npz").write_bytes(b"other")
    with pytest.raises(DataError, match="not the published file"):
        load("mnist")


def test_without_cache_and_network(cache, monkeypatch):
    archive = published.Archive(("mnist.npz",), "http://127.0.0.1:1/mnist.npz", "")
    monkeypatch.setitem(published.ARCHIVES, spec.Mnist, archive)
    with pytest.raises(DataError, match=r"data: mnist: not found in .*mnist\.npz.*cannot be fetched"):
        load("mnist")
