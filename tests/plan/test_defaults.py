"""The defaults as changes of specs and recipes, held against torch.nn and torch.optim themselves."""

from __future__ import annotations

import json
import math
from itertools import permutations

import numpy as np
import pytest

from harness import Input, Model, Sequential, layers
from harness.models import load_model
from harness.plan.compiler import compile_variables
from harness.plan.defaults import DEFAULTS, applicable, left_out, switched, written
from harness.plan.defaults import training as of_optimizers
from harness.plan.finetune import model_of_phase
from harness.plan.initial import initial_weights
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from tests.conformance.random_models import case as random_case
from tests.forked import run_module

ADAM = Recipe(loss="mse")


@pytest.fixture(scope="module")
def torch_says(tmp_path_factory) -> dict:
    out = tmp_path_factory.mktemp("torch") / "defaults.json"
    run_module("pytorch", "tests.plan.torch_defaults", out)
    return json.loads(out.read_text())


def sequence(*stack, shape):
    return Sequential([Input(shape), *stack])


# A model with torch's shapes -> our weight: torch's parameter.
FIRST_VALUES = {
    "linear": (lambda: sequence(layers.Dense(40, name="a"), shape=(50,)), {"kernel": "weight", "bias": "bias"}),
    "conv": (lambda: sequence(layers.Conv2D(20, (3, 5), name="a"), shape=(9, 9, 6)),
             {"kernel": "weight", "bias": "bias"}),
    "grouped": (lambda: sequence(layers.Conv2D(20, 3, groups=4, name="a"), shape=(9, 9, 8)),
                {"kernel": "weight", "bias": "bias"}),
    "depthwise": (lambda: sequence(layers.DepthwiseConv2D(3, depth_multiplier=2, name="a"), shape=(9, 9, 12)),
                  {"kernel": "weight", "bias": "bias"}),
    "transposed": (lambda: sequence(layers.Conv2DTranspose(10, 3, name="a"), shape=(9, 9, 6)),
                   {"kernel": "weight", "bias": "bias"}),
    "embedding": (lambda: sequence(layers.Embedding(60, 30, name="a"), shape=(4,)), {"embeddings": "weight"}),
    "lstm": (lambda: sequence(layers.LSTM(25, name="a"), shape=(4, 7)),
             {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}),
    "gru": (lambda: sequence(layers.GRU(25, name="a"), shape=(4, 7)),
            {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0", "bias": "bias_ih_l0"}),
    "rnn": (lambda: sequence(layers.SimpleRNN(25, name="a"), shape=(4, 7)),
            {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("name", FIRST_VALUES)
def test_first_values_are_those_of_torch(name, torch_says):
    make, roles = FIRST_VALUES[name]
    spec, _ = switched(make(), ADAM, [default.name for default in DEFAULTS])
    drawn = [initial_weights(spec, seed) for seed in range(40)]
    for role, parameter in roles.items():
        theirs = torch_says["first_values"][f"{name}/{parameter}"]
        values = np.concatenate([weights[f"a/{role}"].ravel() for weights in drawn])
        assert values.std() == pytest.approx(theirs["std"], rel=0.05), role
        if name != "embedding":  # a normal distribution has no largest value
            assert np.abs(values).max() == pytest.approx(theirs["largest"], rel=0.01), role


@pytest.mark.frameworks
def test_attention_has_the_first_queries_of_torch(torch_says):
    x = Input((5, 32))
    spec = Model(x, layers.MultiHeadAttention(4, 8, name="a")(x, x))
    changed, _ = switched(spec, ADAM, ["attention_initializer"])
    drawn = [weights["a/query/kernel"].ravel() for weights in (initial_weights(changed, seed) for seed in range(40))]
    theirs = torch_says["first_values"]["attention/in_proj_weight"]
    assert np.abs(np.concatenate(drawn)).max() == pytest.approx(theirs["largest"], rel=0.01)
    # What the note in the table says of the one that a spec cannot tell apart.
    output = torch_says["first_values"]["attention/out_proj.weight"]["largest"]
    assert output / theirs["largest"] == pytest.approx(0.82, abs=0.01)


@pytest.mark.frameworks
def test_the_sum_of_two_biases_has_the_variance_of_torchs(torch_says):
    spec, _ = switched(FIRST_VALUES["lstm"][0](), ADAM, ["recurrent_bias_initializer"])
    values = np.concatenate([initial_weights(spec, seed)["a/bias"] for seed in range(200)])
    parts = [torch_says["first_values"][f"lstm/bias_{which}_l0"]["std"] for which in ("ih", "hh")]
    assert values.std() == pytest.approx(math.hypot(*parts), rel=0.03)
    assert abs(values[25:50].mean()) < 0.1  # no forget gate that starts at 1


@pytest.mark.frameworks
def test_arguments_are_those_of_torch(torch_says):
    said = torch_says["arguments"]
    assert 1 - said["BatchNorm2d"]["momentum"] == pytest.approx(0.9)
    assert said["BatchNorm2d"]["eps"] == said["LayerNorm"]["eps"] == said["GroupNorm"]["eps"] == 1e-5
    assert said["LeakyReLU"]["negative_slope"] == 0.01
    assert (said["PReLU"]["num_parameters"], said["PReLU"]["init"]) == (1, 0.25)
    assert said["AvgPool2d"]["count_include_pad"] is True
    names = {"Nadam": "NAdam"}
    for table, argument in ((of_optimizers.LEARNING_RATE, "lr"), (of_optimizers.EPSILON, "eps"),
                            (of_optimizers.DECAY, "weight_decay")):
        for kind, value in table.items():
            assert said[names.get(kind, kind)][argument] == value, (kind, argument)
    assert said["RMSprop"]["alpha"] == of_optimizers.RHO["RMSprop"]
    assert said["Adadelta"]["rho"] == of_optimizers.RHO["Adadelta"]
    assert said["Adagrad"]["initial_accumulator_value"] == of_optimizers.ACCUMULATOR["Adagrad"]
    for kind, squared in of_optimizers.EPSILON_INSIDE.items():
        assert said[kind]["eps"] == pytest.approx(math.sqrt(squared))


@pytest.mark.frameworks
def test_what_is_switched_computes_what_torch_computes(torch_says):
    assert torch_says["padded"] < 1e-14
    assert torch_says["two_biases"]["SGD"] < 1e-13
    assert torch_says["two_biases"]["Adam"] < 1e-9  # epsilon, 1e-14, stands in another place
    assert max(torch_says["decayed"].values()) < 1e-13


def test_the_square_of_epsilon_inside_is_near_epsilon_outside():
    v = np.logspace(-40, 2, 500)
    for outside, inside in ((1e-8, of_optimizers.EPSILON_INSIDE["RMSprop"]),
                            (1e-10, of_optimizers.EPSILON_INSIDE["Adagrad"])):
        ratio = (np.sqrt(v) + outside) / np.sqrt(v + inside)
        assert ratio.min() >= 1 - 1e-12
        assert ratio.max() <= math.sqrt(2) + 1e-9


def recipe(**given):
    return Recipe.parse({"loss": "sparse_categorical_crossentropy", **given})


@pytest.mark.parametrize(("model", "parameters", "given", "names"), [
    ("mlp", {}, {}, ["kernel_initializer", "bias_initializer", "epsilon"]),
    ("mlp", {}, {"optimizer": "sgd"}, ["kernel_initializer", "bias_initializer", "learning_rate"]),
    ("mlp", {}, {"optimizer": {"SGD": {"learning_rate": 0.01}}}, ["kernel_initializer", "bias_initializer"]),
    ("mlp", {}, {"optimizer": {"AdamW": {"epsilon": 1e-7}}}, ["kernel_initializer", "bias_initializer",
                                                              "weight_decay"]),
    ("mlp", {}, {"optimizer": {"RMSprop": {"clipnorm": 1.0, "weight_decay": 0.1}}},
     ["kernel_initializer", "bias_initializer", "weight_decay_form", "learning_rate", "epsilon_and_place", "rho",
      "clipping"]),
    ("resnet", {"depth": 8, "input_shape": (28, 28)}, {},
     ["kernel_initializer", "bias_initializer", "batch_normalization_momentum", "batch_normalization_epsilon",
      "same_padding", "penalty_form", "epsilon"]),
    ("lstm_classifier", {}, {},
     ["kernel_initializer", "bias_initializer", "embedding_initializer", "recurrent_initializer",
      "recurrent_bias_initializer", "recurrent_biases", "epsilon"]),
])
def test_what_applies(model, parameters, given, names):
    spec = load_model(model, **parameters)
    if model == "lstm_classifier" and not any(type(layer).__name__ == "Embedding" for layer in spec.layers.values()):
        names = [name for name in names if name != "embedding_initializer"]
    assert list(applicable(spec, recipe(**given))) == names


def test_a_choice_is_no_default():
    spec = sequence(layers.Dense(3, kernel_initializer="he_normal", name="a"), layers.BatchNormalization(
        momentum=0.5, name="b"), layers.Dense(2, use_bias=False, name="c"), shape=(4,))
    found = applicable(spec, ADAM)
    assert found["kernel_initializer"].where == ("c",)
    assert found["bias_initializer"].where == ("a",)
    assert "batch_normalization_momentum" not in found
    assert written(spec) == {"kernel_initializer=HeNormal()": ("a",), "momentum=0.5": ("b",)}


def test_the_same_draws_scaled():
    """Pairing by seed pairs the weights too."""
    spec = load_model("mlp")
    changed, _ = switched(spec, ADAM, ["kernel_initializer"])
    before, after = initial_weights(spec, 3), initial_weights(changed, 3)
    for name in before:
        if name.endswith("kernel"):
            ratio = after[name] / before[name]
            assert ratio.min() == pytest.approx(ratio.max())


def test_the_order_of_the_switches_does_not_matter():
    spec = load_model("resnet", depth=8, input_shape=(28, 28))
    given = recipe(optimizer="adam")
    names = ["kernel_initializer", "batch_normalization_momentum", "same_padding", "penalty_form", "epsilon"]
    wanted = switched(spec, given, names)
    by_name = {default.name: default for default in DEFAULTS}
    for order in list(permutations(names))[::17]:
        one, two = spec, given
        for name in order:
            change = by_name[name].switch(one, two)
            one, two = change.spec, change.recipe
        assert (one.to_data(), two.to_data()) == (wanted[0].to_data(), wanted[1].to_data())


def test_layers_inside_of_layers():
    spec = sequence(layers.Bidirectional(layers.LSTM(6), name="both"), shape=(5, 4))
    changed, trained = switched(spec, ADAM, [default.name for default in DEFAULTS])
    weights = initial_weights(changed, 0)
    assert np.abs(weights["both/backward/kernel"]).max() < 1 / math.sqrt(6)
    assert np.abs(weights["both/forward/bias"]).max() < math.sqrt(2 / 6)
    assert trained.phases[0].learning_rate_multipliers == {"both/forward/bias": 2.0, "both/backward/bias": 2.0}
    steps = sequence(layers.TimeDistributed(layers.Dense(3), name="each"), shape=(5, 4))
    changed, _ = switched(steps, ADAM, ["bias_initializer"])
    assert 0 < np.abs(initial_weights(changed, 0)["each/bias"]).max() < 0.5


def test_multipliers_that_are_there_are_doubled():
    spec = sequence(layers.LSTM(6, name="lstm"), layers.Dense(1, name="head"), shape=(5, 4))
    given = recipe(phases=[{"name": "one", "epochs": 3, "learning_rate_multipliers": {"lstm": 0.5}}, {"name": "two"}])
    _, changed = switched(spec, given, ["recurrent_biases"])
    assert [phase.learning_rate_multipliers for phase in changed.phases] == [
        {"lstm/bias": 1.0, "lstm": 0.5}, {"lstm/bias": 2.0}]
    assert [phase.epochs for phase in changed.phases] == [3, 1]


def test_forms():
    spec = sequence(layers.GRU(4, reset_after=False, name="gru"), layers.Dense(3, activation="leaky_relu", name="a"),
                    layers.LeakyReLU(name="leaky"), layers.PReLU(name="prelu"), layers.LayerNormalization(name="norm"),
                    shape=(5, 4))
    changed, _ = switched(spec, ADAM, [default.name for default in DEFAULTS])
    assert changed.layers["gru"].reset_after
    assert changed.layers["a"].activation == {"LeakyReLU": {"negative_slope": 0.01}}
    assert changed.layers["leaky"].negative_slope == 0.01
    assert [weight.shape for weight in changed.weights if weight.layer == "prelu"] == [(1,)]
    assert changed.layers["norm"].epsilon == 1e-5
    assert {weight.name: weight.shape for weight in changed.weights}["gru/bias"] == (2, 12)


def test_padding_that_would_make_another_network_is_left_out():
    spec = sequence(layers.Conv2D(2, 3, 2, padding="same", name="even"),
                    layers.Conv2D(2, 3, 2, padding="same", name="odd"),
                    layers.MaxPooling2D(2, padding="same", name="rest"),
                    layers.Conv2D(2, 3, padding="same", name="still"), shape=(18, 18, 1))
    found = applicable(spec, ADAM)
    assert found["same_padding"].where == ("even",)  # 18: (0, 1) and (1, 1); 9: (1, 1) in both
    changed = found["same_padding"].spec
    assert changed.tensors["still"] == spec.tensors["still"]
    assert changed.layers["even_padding"].padding == ((1, 1), (1, 1))
    (sizes,) = [item for item in left_out(spec, ADAM) if item.what.startswith("padding")]
    assert sizes.where == ("rest",)  # 5 wide: 3 there, 2 in PyTorch


def test_a_shared_layer_is_padded_at_every_call():
    image = Input((8, 8, 1), name="image")
    conv = layers.Conv2D(1, 3, 2, padding="same", name="conv")
    other = Input((8, 8, 1), name="other")
    spec = Model([image, other], layers.Add()([conv(image), conv(other)]))
    changed = applicable(spec, ADAM)["same_padding"].spec
    assert [node.inputs for node in changed.nodes if node.layer == "conv"] == [("conv_padding",), ("conv_1_padding",)]


@pytest.mark.parametrize("number", range(0, 300, 10))
def test_every_variant_of_a_random_model_is_sound(number):
    """Each by itself and all together: the spec and the recipe read back, the outputs keep their shapes."""
    case = random_case(number)
    spec, given = case.spec, Recipe.parse(case.recipe)
    names = list(applicable(spec, given))
    left_out(spec, given)
    for chosen in (names, *([name] for name in names)):
        changed, trained = switched(spec, given, chosen)
        assert ModelSpec.from_data(changed.to_data()).digest == changed.digest
        assert explicit(Recipe.parse(explicit(trained))) == explicit(trained)
        assert [changed.tensors[name] for name in changed.outputs] == [spec.tensors[name] for name in spec.outputs]
        model = changed
        for phase in trained.resolved_phases():
            model = model_of_phase(model, phase)
            compile_variables(model, phase)
    initial_weights(changed, 0)


def test_phases_keep_their_own_optimizers():
    given = recipe(optimizer={"SGD": {"learning_rate": 0.5}}, phases=[{"name": "one"}, {"name": "two", "optimizer":
                                                                                       "rmsprop"}])
    change = applicable(load_model("mlp"), given)["learning_rate"]
    assert change.recipe.optimizer.learning_rate == 0.5
    assert change.recipe.phases[1].optimizer.learning_rate == 0.01


def test_what_is_left_out_is_named():
    spec = sequence(layers.Embedding(9, 4, mask_zero=True, name="ids"), layers.LSTM(3, dropout=0.1, name="lstm"),
                    layers.BatchNormalization(name="norm"), shape=(5,))
    rate = {"ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.9}}
    named = {item.what for item in left_out(spec, recipe(class_weight={0: 2.0}))}
    assert named == {"the moving variance of BatchNormalization", "padding ids", "dropout of recurrent layers",
                     "gradients of Embedding", "the place of epsilon", "class weights"}
    momentum = recipe(optimizer={"SGD": {"momentum": 0.9, "learning_rate": rate}})
    assert "momentum under a schedule" in {item.what for item in left_out(spec, momentum)}
