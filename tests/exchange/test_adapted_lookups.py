"""TextVectorization, StringLookup and IntegerLookup that learned their vocabulary: files of Keras, in and out."""

import json

import pytest

import harness
from harness.spec.keras_config import UnsupportedModelError
from tests.exchange.broken_files import with_lookup
from tests.exchange.lookup_models import MODELS
from tests.forked import run_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lookups")
    for part, framework in (("keras", "tensorflow"), ("pytorch", "pytorch"), ("back", "tensorflow")):
        run_module(framework, "tests.exchange.lookup_models", path, part)
    return path


def found_in(folder, part, name):
    found = json.loads((folder / f"{part}.json").read_text())[name]
    assert "failed" not in found, found["failed"]
    return found


@pytest.mark.frameworks
@pytest.mark.parametrize("name", MODELS)
def test_the_twin_is_keras_own_model(folder, name):
    found_in(folder, "keras", name)
    found = found_in(folder, "pytorch", name)
    assert found["error"] < MODELS[name][2]
    assert found["yaml"], "the spec changed on its way through YAML"
    assert found["live"], "the live model and its file are read as two models"
    assert found["weights"], "the weights in a file of their own make another model"
    assert found["back"], "the file that was written back has other vocabularies"


@pytest.mark.frameworks
@pytest.mark.parametrize("name", MODELS)
def test_keras_loads_what_was_written_for_it(folder, name):
    assert found_in(folder, "back", name)["error"] < MODELS[name][2]


@pytest.mark.frameworks
def test_vocabularies_are_keras_own(folder):
    strings = found_in(folder, "pytorch", "strings")["vocabularies"]
    assert sorted(vocabulary[0] for vocabulary, _ in strings.values()) == ["", "[UNK]", "[UNK]"]
    assert {"red", "green", "blue"} < set.intersection(*(set(vocabulary) for vocabulary, _ in strings.values()))
    words, weights = found_in(folder, "pytorch", "frequencies")["vocabularies"]["words"]
    assert len(words) == len(weights) < 20
    assert "naïve" in words


@pytest.mark.frameworks
@pytest.mark.parametrize("file", ["text.json", "text.h5"])
def test_a_file_without_vocabularies_is_refused(folder, file):
    with pytest.raises(UnsupportedModelError, match="not in the config") as caught:
        harness.from_keras(folder / file)
    (part,) = caught.value.parts
    assert part.class_name == "TextVectorization"
    assert ".keras file" in part.way_out


def test_the_file_that_the_broken_ones_are_made_of_is_good(tmp_path):
    spec, weights = harness.from_keras(with_lookup(tmp_path, "[UNK]\nnaïve\nb\nc\n\n".encode()))
    assert spec.layers["lookup"].vocabulary == ("[UNK]", "naïve", "b", "c")
    assert weights["a/kernel"].shape == (4, 2)
