"""What both backends make of models that Hugging Face's transformers saved, beside transformers' own PyTorch models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.exchange.pretrained.cases import CASES, OFTEN, RESNETS, SENTENCES
from tests.forked import run_module

pytestmark = pytest.mark.frameworks
BACKENDS = ("pytorch", "tensorflow")
NAMES = [*CASES, *RESNETS]


def run(module: str, *arguments: str) -> None:
    run_module(module.removeprefix("run_"), f"tests.exchange.pretrained.{module}", *arguments, HF_HUB_OFFLINE="1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process with transformers and the PyTorch backend, one with the TensorFlow backend."""
    place = tmp_path_factory.mktemp("reference")
    run("run_pytorch", str(place))
    run("run_tensorflow", str(place), "minilm", *OFTEN)
    return place


def check(name: str, backend: str, folder: Path) -> None:
    """Padding and types of words included. Keras's gelu has constants of float32 precision in float64 too, which
    transformers' has not: 1e-8, against 1e-13 without gelu."""
    expected = np.load(folder / name / "reference.npz")["output"]
    got = np.load(folder / name / f"{backend}.npz")["output"]
    assert got.dtype == expected.dtype == np.float64
    assert np.abs(expected).max() > 0.1
    exact = name.startswith("resnet") or name == "bert relu"
    assert np.abs(got - expected).max() < (1e-13 if exact else 3e-8)


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_in_float64(name: str, folder: Path) -> None:
    check(name, "pytorch", folder)


@pytest.mark.parametrize("name", OFTEN)
def test_tensorflow_in_float64(name: str, folder: Path) -> None:
    check(name, "tensorflow", folder)


@pytest.mark.sweep
def test_tensorflow_in_float64_all(folder: Path) -> None:
    rest = [name for name in NAMES if name not in OFTEN]
    run("run_tensorflow", str(folder), "minilm, the rest", *rest)
    for name in rest:
        check(name, "tensorflow", folder)
    check_minilm(folder, "tensorflow, the rest.npz")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_real_sentence_encoder(backend: str, folder: Path) -> None:
    """all-MiniLM-L6-v2, 22.7 million parameters: hidden states of every token, pooled and sentence embeddings."""
    check_minilm(folder, f"{backend}.npz")


def check_minilm(folder: Path, file: str) -> None:
    expected, got = np.load(folder / "minilm" / "reference.npz"), np.load(folder / "minilm" / file)
    # What is computed, in float64: the same numbers.
    bounds = {"hidden64": 1e-6, "pooled": 1e-5, "embedding": 1e-5}
    for name in set(bounds) & set(got.files):
        assert np.abs(got[name] - expected[name]).max() < bounds[name], name
    if "hidden" in got.files:
        # In float32 the tokens' own differ by 3e-6; those of padding, which nothing reads, lie 6e-5 from float64 in
        # transformers' own as well.
        difference = np.abs(got["hidden"] - expected["hidden"])
        assert difference[expected["attention_mask"] == 1].max() < 1e-5
        assert difference.max() < 1e-3
        a, b = got["embedding"].astype(np.float64), expected["embedding"].astype(np.float64)
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert np.all(1 - cosine < 1e-6)


def test_it_means_something(folder: Path) -> None:
    """The two sentences about a cat are nearer to each other than to the one about stocks."""
    embedding = np.load(folder / "minilm" / "pytorch.npz")["embedding"]
    nearness = embedding @ embedding.T
    assert embedding.shape == (len(SENTENCES), 384)
    assert nearness[0, 1] > 0.4 > 0.2 > max(nearness[0, 2], nearness[1, 2])
