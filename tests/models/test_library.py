"""Every model of the library: its size as published or counted by hand, its forms, its parameters."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import SpecError
from harness.models import accepted_parameters, available_models, library_folder, load_model
from harness.spec.model import ModelSpec

# Small enough to train in a test, with everything on that the model has.
TINY = {
    "mlp": {"input_shape": (4,), "num_classes": 3, "units": (5, 4), "dropout": 0.2, "batch_normalization": True,
            "l2": 0.01},
    "cnn": {"input_shape": (8, 8), "num_classes": 3, "filters": (3, 4), "units": 6, "dropout": 0.2,
            "batch_normalization": True, "l2": 0.01},
    "resnet": {"input_shape": (8, 8, 3), "num_classes": 3, "depth": 8, "filters": 2},
    "lstm_classifier": {"input_shape": (7,), "num_classes": 3, "vocabulary": 11, "embedding": 4, "units": (5, 4),
                        "dropout": 0.2, "mask_zero": True},
    "gru_classifier": {"input_shape": (7, 3), "num_classes": 3, "units": (5, 4), "dropout": 0.2},
    "transformer_encoder": {"input_shape": (6,), "num_classes": 3, "vocabulary": 11, "width": 8, "heads": 2,
                            "feedforward": 12, "mask_zero": True},
    "mlp_64_64": {"input_shape": (3, 3), "num_classes": 3},
    "mlp_128_64": {"input_shape": (3, 3), "num_classes": 3},
    "simple_cnn": {"input_shape": (8, 8), "num_classes": 3},
}
# Counted by hand, layer by layer; resnet_20 and resnet_56 as in the paper's table 6, 0.27 and 0.85 million.
PARAMETERS = {
    "mlp_64_64": 784 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10,
    "mlp_128_64": 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
    "simple_cnn": 9 * 32 + 32 + 9 * 32 * 64 + 64 + 7 * 7 * 64 * 512 + 512 + 512 * 10 + 10,
    "mlp": 784 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10,
    "cnn": 27 * 32 + 32 + 9 * 32 * 64 + 64 + 8 * 8 * 64 * 128 + 128 + 128 * 10 + 10,
    "lstm_classifier": 10000 * 64 + 4 * (64 * 64 + 64 * 64 + 64) + 64 * 2 + 2,
    "gru_classifier": 10000 * 64 + 3 * (64 * 64 + 64 * 64 + 2 * 64) + 64 * 2 + 2,
    "transformer_encoder": 10000 * 64 + 200 * 64
    + 2 * (4 * (64 * 64 + 64) + (64 * 128 + 128) + (128 * 64 + 64) + 4 * 64) + 64 * 2 + 2,
}


def test_the_library_has_these_models():
    assert set(available_models()) == set(TINY)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters(name: str):
    assert load_model(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnet_is_as_large_as_in_the_paper(depth: int, millions: float):
    model = load_model("resnet", depth=depth)
    assert model.parameters / 1e6 == pytest.approx(millions, rel=0.03)
    # depth counts the layers with weights on the longest path: convolutions and the last Dense.
    longest = [name for name in model.layers if re.search(r"conv(_\d)?$|predictions", name)]
    assert len(longest) == depth


@pytest.mark.parametrize("name", sorted(TINY))
def test_small_sizes(name: str):
    model = load_model(name, **TINY[name])
    assert model.inputs[0].shape[1:] == TINY[name]["input_shape"]
    assert model.tensors[model.outputs[0]] == (None, 3)
    assert model.parameters < load_model(name).parameters
    assert model.flops


@pytest.mark.parametrize("name", sorted(TINY))
@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_a_model_survives_being_written_and_read(name: str, ending: str, tmp_path: Path):
    model = load_model(name, **TINY[name])
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    assert again.digest == model.digest
    assert again.to_data() == model.to_data()


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_model_takes_the_shape_of_the_data(name: str):
    assert {"input_shape", "num_classes"} <= accepted_parameters(name)


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "lstm_classifier", "gru_classifier", "transformer_encoder"])
def test_the_output_is_probabilities_or_logits(name: str):
    assert load_model(name).layers["predictions"].activation == "softmax"
    assert load_model(name, output_activation=None).layers["predictions"].activation in (None, "linear")


def test_switches_change_the_model():
    plain = load_model("mlp")
    assert "dropout_1" in load_model("mlp", dropout=0.5).layers
    assert "norm_1" in load_model("mlp", batch_normalization=True).layers
    assert load_model("mlp", l2=0.01).layers["hidden_1"].kernel_regularizer is not None
    assert plain.layers["hidden_1"].kernel_regularizer is None
    assert load_model("mlp", units=7).parameters == 784 * 7 + 7 + 7 * 10 + 10
    assert "dropout" not in load_model("cnn").layers
    assert "embedding" not in load_model("lstm_classifier", input_shape=(5, 3)).layers


def test_the_positions_of_the_transformer_are_0_1_2():
    model = load_model("transformer_encoder", **TINY["transformer_encoder"])
    positions = model.layers["positions"]
    assert (positions.scale, positions.offset) == (0.0, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
    assert model.layers["position_embedding"].input_dim == 6


@pytest.mark.parametrize("name", sorted(TINY))
def test_input_shape_accepts_what_json_has(name: str):
    parameters = {key: list(value) if isinstance(value, tuple) else value for key, value in TINY[name].items()}
    assert load_model(name, **parameters).digest == load_model(name, **TINY[name]).digest


@pytest.mark.parametrize(("name", "parameters", "message"), [
    ("resnet", {"depth": 21}, r"resnet\.py, line \d+: depth must be 6 n \+ 2"),
    ("mlp", {"dropout": 1.5}, r"mlp\.py, line \d+: Dropout 'dropout_1': rate"),
    ("transformer_encoder", {"input_shape": (4, 4, 4)}, r"transformer_encoder\.py, line \d+"),
])
def test_impossible_parameters(name: str, parameters: dict, message: str):
    with pytest.raises(SpecError, match=message):
        load_model(name, **parameters)


def test_loading_a_model_loads_nothing_heavy():
    code = ("import sys; from harness.models import available_models, load_model\n"
            "for name in available_models(): load_model(name)\n"
            "print(sorted({m.split('.')[0] for m in sys.modules} & "
            "{'numpy', 'pandas', 'tensorflow', 'keras', 'torch', 'matplotlib'}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=library_folder("models").parent)
    assert done.stdout.strip() == "[]"


def test_a_model_is_a_model_spec_already():
    model = load_model("mlp")
    assert isinstance(model, ModelSpec)
    assert load_model(model) is model
    assert load_model(model, num_classes=3).tensors["predictions"] == (None, 3)
