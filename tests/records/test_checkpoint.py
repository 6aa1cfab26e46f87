"""Checkpoints come back exactly, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
import pickle
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.errors import SpecError
from harness.records.checkpoint import load_checkpoint, save_checkpoint

WEIGHTS = {"dense/kernel": np.arange(6.0).reshape(2, 3), "dense/bias": np.zeros(3, np.float32)}
SHAPES = {"dense/kernel": (2, 3), "dense/bias": (3,)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "end.safetensors"


def test_round_trip_with_optimizer(path):
    slots = {"optimizer/dense/kernel/momentum": np.ones((2, 3)), "optimizer/iterations": np.array(7)}
    transposed = {"other/kernel": np.arange(6.0).reshape(3, 2).T}
    save_checkpoint(path, {**WEIGHTS, **transposed, **slots}, {"phase": "pretrain"})
    found = load_checkpoint(path)
    assert found.weights.keys() == WEIGHTS.keys() | transposed.keys()
    for name, value in {**WEIGHTS, **transposed}.items():
        np.testing.assert_array_equal(found.weights[name], value)
        assert found.weights[name].dtype == value.dtype
    assert list(found.optimizer) == ["dense/kernel/momentum"]
    assert found.iterations == 7
    assert found.metadata["phase"] == "pretrain"


def test_the_model_that_it_was_saved_from_fits(path):
    save_checkpoint(path, WEIGHTS)
    assert load_checkpoint(path, SHAPES).iterations is None
    assert load_checkpoint(path, {"dense/kernel": (None, 3), "dense/bias": (3,)})


def test_another_model_is_refused_with_every_misfit(path):
    save_checkpoint(path, {**WEIGHTS, "dense_2/kernel": np.ones((3, 4))})
    with pytest.raises(SpecError) as error:
        load_checkpoint(path, {"dense/kernel": (3, 2), "dense/bias": (3,), "dense_1/kernel": (3, 4)})
    message = str(error.value)
    assert "missing: dense_1/kernel (3, 4)" in message
    assert "not in the model: dense_2/kernel (3, 4)" in message
    assert "dense/kernel is (2, 3), the model's is (3, 2)" in message
    assert "Did you mean 'dense_2/kernel'?" in message


def pickled():
    return pickle.dumps({"dense/kernel": [1.0]})


def zipped():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickled(), "pickle"),
        (zipped(), "zip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "HDF5"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (b"", "not a readable"),
        (b"hello world, I am no checkpoint", "not a readable"),
        (struct.pack("<Q", 1 << 40) + b"{}", "not a readable"),
    ],
)
def test_other_files_are_refused(path, content, said):
    path.write_bytes(content)
    with pytest.raises(SpecError, match=said):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_refused(path):
    save_checkpoint(path, WEIGHTS)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SpecError, match="truncated"):
        load_checkpoint(path)


def test_a_header_whose_length_begins_like_a_pickle_is_read(path):
    """A header of 0x..0480 bytes starts with the bytes 80 04, as a pickle of protocol 4 does."""
    for length in range(400):
        save_checkpoint(path, WEIGHTS, {"padding": "x" * (700 + length)})
        if path.read_bytes()[:2] == b"\x80\x04":
            break
    assert path.read_bytes()[:2] == b"\x80\x04"
    assert load_checkpoint(path, SHAPES)


def test_a_missing_file_names_its_neighbour(path):
    save_checkpoint(path, WEIGHTS)
    with pytest.raises(SpecError, match=r"Did you mean 'end.safetensors'"):
        load_checkpoint(path.with_name("ent.safetensors"))
    with pytest.raises(SpecError, match="found a folder"):
        load_checkpoint(path.parent)


def test_foreign_safetensors_are_refused(path):
    save_file({"layer.0.weight": np.zeros(2)}, str(path))
    with pytest.raises(SpecError, match="no canonical weights"):
        load_checkpoint(path)


def test_a_newer_checkpoint_is_refused(path):
    save_file({"a": np.zeros(2)}, str(path), metadata={"format": "harness", "schema": "2"})
    with pytest.raises(SpecError, match="Update the harness"):
        load_checkpoint(path)


def test_object_arrays_are_refused(path):
    with pytest.raises(SpecError, match="object array"):
        save_checkpoint(path, {"a": np.array([{}])})


def test_the_header_says_what_the_file_is(path):
    save_checkpoint(path, WEIGHTS)
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    assert json.loads(content[8 : 8 + length])["__metadata__"] == {"format": "harness", "schema": "1"}
