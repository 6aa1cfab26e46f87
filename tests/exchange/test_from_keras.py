"""harness.from_keras: models as people write them, saved by Keras, imported, run in PyTorch, and taken back."""

import json

import pytest

from tests.exchange.keras_models import MODELS, NOT_IN_JSON, NOT_LEGACY
from tests.forked import run_module

TOLERANCE = 1e-12
pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the Keras half wrote, and what the PyTorch half made of it."""
    path = tmp_path_factory.mktemp("imports")
    run_module("tensorflow", "tests.exchange.import_keras_half", path)
    run_module("pytorch", "tests.exchange.import_pytorch_half", path)
    return path


@pytest.fixture(scope="module")
def taken_back(folder):
    """What stock Keras makes of the files that were written without it."""
    run_module("tensorflow", "tests.exchange.import_keras_half", folder, "back")
    return json.loads((folder / "back.json").read_text())


@pytest.mark.parametrize("name", MODELS)
def test_the_twin_is_keras_own_model(folder, name):
    found = json.loads((folder / "pytorch.json").read_text())[name]
    assert "failed" not in found, found["failed"]
    assert found["error"] < TOLERANCE
    assert found["weights"], "PyTorch gave other weights back than it got"
    assert found["yaml"], "the spec changed on its way through YAML"
    assert found["live"], "the live model and its file are read as two models"
    assert found["config"], "the spec changed on its way through a Keras config"
    if name not in NOT_IN_JSON:
        assert found["parts"], "config and weights in two files are read as another model"
    if name not in NOT_LEGACY:
        assert found["legacy"], "the legacy file is read as another model"


@pytest.mark.parametrize("name", MODELS)
def test_keras_loads_what_was_written_for_it(taken_back, name):
    found = taken_back[name]
    assert "failed" not in found, found["failed"]
    assert found["error"] < TOLERANCE
    assert found["weights"], "Keras has other weights than the model that was imported"
