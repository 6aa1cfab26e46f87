"""Every model of the library: its size as published or counted by hand, its forms, its parameters."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import SpecError
from harness.models import accepted_parameters, available_models, library_folder, load_model
from harness.plan.binding import bind_inputs
from harness.spec.model import ModelSpec
from tests.models.small import FIRST, SMALL

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
    "simple_rnn_classifier": 10000 * 64 + (64 * 64 + 64 * 64 + 64) + 64 * 2 + 2,
    "character_language_model": 128 * 64 + 4 * (64 * 128 + 128 * 128 + 128) + 4 * (2 * 128 * 128 + 128)
    + 128 * 128 + 128,
    "seq2seq_lstm": 2 * 64 * 64 + 2 * 4 * (64 * 128 + 128 * 128 + 128) + 4 * (64 * 256 + 256 * 256 + 256)
    + 2 * 256 * 128 + 128 + (512 * 256 + 256) + (256 * 64 + 64),
    "convolutional_autoencoder": (9 * 32 + 32) + (9 * 32 * 64 + 64) + (3136 * 32 + 32) + (32 * 3136 + 3136)
    + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 + 1),
    "vae": (9 * 32 + 32) + (9 * 32 * 64 + 64) + 2 * (3136 * 16 + 16) + (16 * 3136 + 3136)
    + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 + 1),
    "lstm_forecaster": 4 * (64 + 64 * 64 + 64) + 64 + 1,
    "tabular_mlp": 8 * 64 + 64 + 64 * 32 + 32 + 32 * 2 + 2,
    "dqn": 4 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2,
}
CLASSIFIERS = ("mlp", "cnn", "resnet", "mobilenet_v2", "vit", "unet", "audio_cnn", "lstm_classifier", "gru_classifier",
               "simple_rnn_classifier", "transformer_encoder")
TINY = {name: case.parameters for name, case in FIRST.items()}


def test_the_library_has_these_models():
    assert set(available_models()) == set(FIRST)


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


@pytest.mark.parametrize("name", SMALL)
def test_small_sizes(name: str):
    case = SMALL[name]
    model = load_model(case.model, **case.parameters)
    x, y = case.data(np.random.default_rng(0))
    bind_inputs(x if isinstance(x, dict) else {"x": x}, model, "float64")
    (output,) = model.outputs
    predicted = model.tensors[output][1:]
    # Labels are one for each distribution, sequences of labels one for several steps, numbers one for each number.
    assert y.shape[1:] in ((predicted[0] // 2,) if case.loss == "ctc" else predicted, predicted[:-1])
    assert model.flops


@pytest.mark.parametrize("name", sorted(TINY))
def test_small_is_smaller(name: str):
    assert load_model(name, **TINY[name]).parameters < load_model(name).parameters


@pytest.mark.parametrize("name", sorted(TINY))
@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_a_model_survives_being_written_and_read(name: str, ending: str, tmp_path: Path):
    model = load_model(name, **TINY[name])
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    assert again.digest == model.digest
    assert again.to_data() == model.to_data()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_takes_the_shape_of_the_data(name: str):
    assert {"input_shape", "num_classes"} <= accepted_parameters(name)


@pytest.mark.parametrize("name", CLASSIFIERS)
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


@pytest.mark.parametrize("name", sorted(TINY))
def test_input_shape_accepts_what_json_has(name: str):
    parameters = {key: list(value) if isinstance(value, tuple) else value for key, value in TINY[name].items()}
    assert load_model(name, **parameters).digest == load_model(name, **TINY[name]).digest


@pytest.mark.parametrize(("name", "parameters", "message"), [
    ("resnet", {"depth": 21}, r"resnet\.py, line \d+: depth must be 6 n \+ 2"),
    ("mlp", {"dropout": 1.5}, r"mlp\.py, line \d+: Dropout 'dropout_1': rate"),
    ("transformer_encoder", {"input_shape": (4, 4, 4)}, r"transformer_encoder\.py, line \d+"),
    ("resnet", {"form": "imagenet", "depth": 20}, r"depth must be 18, 34, 50, 101, 152"),
    ("resnet", {"form": "imagnet"}, r'form must be "cifar" or "imagenet"'),
    ("vit", {"configuration": "B16"}, r"configuration must be one of Ti/16, .*B/16"),
    ("vit", {"patch_size": 5}, r"32 x 32 do not divide into patches of 5"),
    ("vit", {"width": 10, "heads": 4}, r"width must be a multiple of heads"),
    ("unet", {"input_shape": (100, 100)}, r"cannot be halved 4 times"),
    ("unet", {"num_classes": 1}, r"softmax over one class"),
    ("character_language_model", {"cell": "rnn"}, r"cell must be one of lstm, gru, simple_rnn"),
    ("seq2seq_lstm", {"attention": "luong"}, r'attention must be "additive" or "dot"'),
    ("transformer", {"configuration": "small"}, r"configuration must be one of base, big"),
    ("tabular_mlp", {"input_shape": None}, r"neither numbers nor categories"),
    ("tabular_mlp", {"categories": {"color": "5"}}, r"'color' needs the number of its values"),
    ("dqn", {"input_shape": (4, 4)}, r"a state is \(features,\) or \(height, width, channels\)"),
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
