"""Every layer of Keras as its files hold it: read by the vocabulary, built again, and nothing lost."""

import json

import pytest

from harness.keras.keras_layers import NAMES
from harness.spec.layers import LAYERS
from harness.spec.layers.refused import ALIASES, REFUSED
from tests.forked import run_module

pytestmark = pytest.mark.frameworks
CLASSES = sorted(name for name in LAYERS.classes if name in NAMES)
# Configurations that Keras writes and the vocabulary refuses -> a word of the reason.
UNFINISHED = {"Normalization 0": "adapt", "TextVectorization 0": "output_sequence_length"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What tests/exchange/layer_configs.py found."""
    path = tmp_path_factory.mktemp("configs") / "configs.json"
    run_module("tensorflow", "tests.exchange.layer_configs", path)
    return json.loads(path.read_text())


def meant(value, inside=False):
    """A config without what says nothing about the layer: where a class lives, the names of layers `inside` it, the
    shapes it was built for. A factor f and the range (-f, f) are one."""
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    if isinstance(value, dict):
        dropped = {"module", "registered_name", "build_config", *(["name"] if inside == "config" else [])}
        return {key: meant(item, key) for key, item in value.items() if key not in dropped}
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(item, (int, float)) for item in value) and value[0] == -value[1]:
            return value[1]
        return [meant(item) for item in value]
    return value


@pytest.mark.parametrize("name", CLASSES)
def test_nothing_is_lost(name, written):
    labels = [label for label, item in written.items()
              if label not in ("classes", "names") and ALIASES.get(label.split()[0], label.split()[0]) == name]
    assert labels, f"no configuration of {name} is written"
    for label in labels:
        item = written[label]
        if label in UNFINISHED:
            assert UNFINISHED[label] in item["error"]
            continue
        assert "error" not in item, f"{label}: {item['error']}"
        assert meant(item["again"]["config"]) == meant(item["written"]["config"]), label


def test_every_class_is_known_or_refused(written):
    missing = [name for name in written["classes"] if not LAYERS.knows(name) and name not in REFUSED]
    assert not missing, f"neither in the vocabulary nor in harness/spec/layers/refused.py: {missing}"


def test_a_second_name_is_the_same_layer(written):
    for name, own in written["classes"].items():
        if name not in REFUSED:
            assert LAYERS.find(name) is LAYERS.find(own), name


def test_nothing_is_refused_that_is_known():
    assert not [name for name in REFUSED if LAYERS.knows(name)]
    assert all(refusal.reason and refusal.way_out.endswith(".") for refusal in REFUSED.values())


def test_the_names_of_keras_layers(written):
    assert sorted({*written["names"], "Input", "InputSpec"}) == sorted({*NAMES, "Input", "InputLayer", "InputSpec",
                                                                        "Layer"})
