"""Every activation: value and gradient of the PyTorch backend's function against Keras's, on a grid that holds every
kink (0, 1/2, 1, 3, 6 and their negatives), in float64. One subprocess per framework."""

from pathlib import Path

import numpy as np
import pytest

from harness import layers
from harness.errors import SpecError
from harness.spec.activations import ACTIVATIONS, parse_activation
from tests.forked import run_source

LAYERS = {
    "leaky": layers.LeakyReLU(negative_slope=0.1), "leaky default": layers.LeakyReLU(), "elu": layers.ELU(alpha=0.4),
    "relu ceiling": layers.ReLU(max_value=0.7), "relu 6": layers.ReLU(6.0, 0.1),
    "relu all": layers.ReLU(max_value=2.1, negative_slope=0.1, threshold=0.3),
}
CASES = {name: name for name in ACTIVATIONS if name != "linear"} | {
    name: parse_activation(layer) for name, layer in LAYERS.items()}
GRID = np.concatenate([np.arange(-32, 32) / 4, np.random.default_rng(0).normal(size=64) * 3]).reshape(8, 16)
FACTORS = np.random.default_rng(1).normal(size=GRID.shape)

TENSORFLOW = """
import sys
import numpy as np, keras, tensorflow as tf
sys.path.insert(0, sys.argv[1])
from test_activations import *
from harness.backends.tensorflow.activations import activation

keras.config.set_floatx("float64")
results = {}
for name, value in CASES.items():
    # As a layer has it, and for the layers the stock layer itself.
    functions = {"value": keras.activations.get(activation(value))}
    if name in LAYERS:
        ((kind, arguments),) = value.items()
        functions["stock"] = getattr(keras.layers, kind)(**arguments)
    for what, function in functions.items():
        x = tf.constant(GRID)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        results[f"{name}|{what}"] = y.numpy()
        results[f"{name}|{what} gradient"] = tape.gradient(y, x, tf.constant(FACTORS)).numpy()
np.savez(sys.argv[2], **results)
"""

PYTORCH = """
import sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from test_activations import *
from harness.backends.pytorch.activations import activation_function

results = {}
for name, value in CASES.items():
    x = torch.tensor(GRID, requires_grad=True)
    y = activation_function(value)(x)
    y.backward(torch.tensor(FACTORS))
    results[f"{name}|value"], results[f"{name}|value gradient"] = y.detach().numpy(), x.grad.numpy()
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    folder, here = tmp_path_factory.mktemp("activations"), str(Path(__file__).parent)
    found = []
    for framework, program in (("tensorflow", TENSORFLOW), ("pytorch", PYTORCH)):
        path = folder / f"{framework}.npz"
        run_source(framework, program, here, path)
        found.append(dict(np.load(path)))
    return found


@pytest.mark.frameworks
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str, computed: list[dict[str, np.ndarray]]) -> None:
    of_tensorflow, of_pytorch = computed
    for part in ("value", "value gradient"):
        expected, found = of_tensorflow[f"{name}|{part}"], of_pytorch[f"{name}|{part}"]
        assert found.dtype == expected.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13, err_msg=part)
        if name in LAYERS:
            np.testing.assert_array_equal(of_tensorflow[f"{name}|stock{part[5:]}"], expected)


def test_what_stands_for_an_activation() -> None:
    serialized = {"module": "keras.layers", "class_name": "LeakyReLU", "registered_name": None,
                  "config": {"name": "leaky_re_lu", "trainable": True, "dtype": {"class_name": "DTypePolicy"},
                             "negative_slope": 0.10000000149011612}}
    assert parse_activation(serialized) == {"LeakyReLU": {"negative_slope": 0.1}}
    assert parse_activation(parse_activation(serialized)) == parse_activation(serialized)
    assert parse_activation({"class_name": "function", "config": "swish", "module": "builtins"}) == "silu"
    assert parse_activation({"class_name": "Softmax", "config": {"axis": -1}}) == "softmax"
    assert parse_activation({"ELU": {"alpha": 1.0}}) == "elu"
    assert parse_activation({"LeakyReLU": {"negative_slope": 0.2}}) == "leaky_relu"
    assert parse_activation(layers.ReLU) == "relu"
    assert parse_activation({"class_name": "Activation", "config": {"activation": "linear"}}) is None
    dense = layers.Dense(3, activation=layers.LeakyReLU(0.1))
    assert dense.config()["activation"] == {"LeakyReLU": {"negative_slope": 0.1}}
    assert layers.Dense(**dense.config()).config() == dense.config()


@pytest.mark.parametrize(("value", "message"), [
    ("glu", "halves an axis"), ("threshold", "without the arguments"), ("reluu", "Did you mean 'relu'"),
    ({"LeakyReLU": {"slope": 1}}, "no argument 'slope'"), ({"LeakyReLU": {"negative_slope": "a"}}, "is a number"),
    ({"PReLU": {}}, "is a layer"), ({"class_name": "Softmax", "config": {"axis": 1}}, "is a layer"),
    ({"a": 1, "b": 2}, "cannot read"), (lambda x: x, "of your own"),
])
def test_refused(value: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_activation(value)
