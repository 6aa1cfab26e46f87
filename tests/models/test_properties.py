"""What the models of the library must do by their own definitions, in one process with PyTorch."""

from __future__ import annotations

import json

import pytest

from tests.forked import run_module

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    out = tmp_path_factory.mktemp("properties") / "out.json"
    run_module("pytorch", "tests.models.properties_pytorch", out)
    read: dict[str, float] = json.loads(out.read_text())
    return read


def test_the_vae_adds_the_divergence_and_samples(found: dict[str, float]) -> None:
    assert found["divergence is not 0"] > 0.05
    assert found["divergence"] < 1e-8  # Keras keeps a regularizer's factor in float32
    assert found["decodes mean"] == 0
    assert found["sample"] < 1e-15
    assert 0.7 < found["noise has variance 1"] < 1.4


def test_the_positions_of_the_transformer(found: dict[str, float]) -> None:
    assert found["positions"] < 1e-15


@pytest.mark.parametrize("name", ["transformer_encoder", "lstm_classifier both ways", "seq2seq_lstm",
                                  "transformer, nothing tied"])
def test_padding_is_not_read(name: str, found: dict[str, float]) -> None:
    assert found[f"{name} ignores padding"] == 0


@pytest.mark.parametrize("name", ["transformer", "seq2seq_lstm", "character_language_model", "gpt2"])
def test_a_step_sees_nothing_later(name: str, found: dict[str, float]) -> None:
    assert found[f"{name} sees nothing later"] == 0
    assert found[f"{name} sees the last"] > 1e-4
