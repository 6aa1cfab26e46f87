"""Constraints, regularizers and initializers as data: Keras's notations, and what is wrong with a wrong one."""

import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.spec.constraints import CONSTRAINTS, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from harness.spec.initializers import INITIALIZERS
from harness.spec.model import ModelSpec
from harness.spec.regularizers import L1, L1L2, L2, REGULARIZERS, OrthogonalRegularizer


def serialized(module, name, /, **config):
    """What keras.<module>.serialize writes."""
    return {"module": f"keras.{module}", "class_name": name, "config": config, "registered_name": None}


@pytest.mark.parametrize(("value", "expected"), [
    ("max_norm", MaxNorm(2.0, 0)), ("MaxNorm", MaxNorm()), ("non_neg", NonNeg()), ("unit_norm", UnitNorm(axis=0)),
    ("min_max_norm", MinMaxNorm(0.0, 1.0, 1.0, 0)), ({"MaxNorm": {"max_value": 3}}, MaxNorm(3)),
    (serialized("constraints", "MaxNorm", max_value=3, axis=[0, 1, 2]), MaxNorm(3, (0, 1, 2))),
    (serialized("constraints", "MinMaxNorm", min_value=0.1, max_value=0.5, rate=0.9, axis=None),
     MinMaxNorm(0.1, 0.5, 0.9, None)),
])
def test_notations_of_a_constraint(value, expected):
    assert CONSTRAINTS.parse(value) == expected


@pytest.mark.parametrize(("value", "expected"), [
    ("l1", L1(0.01)), ("l2", L2()), ("l1_l2", L1L2(0.0, 0.0)), ("L1L2", L1L2()),
    ("orthogonal_regularizer", OrthogonalRegularizer(0.01, "rows")),
    (serialized("regularizers", "OrthogonalRegularizer", factor=0.5, mode="columns"),
     OrthogonalRegularizer(0.5, "columns")),
    (serialized("regularizers", "L1L2", l1=0.25, l2=0.5), L1L2(0.25, 0.5)),
])
def test_notations_of_a_regularizer(value, expected):
    assert REGULARIZERS.parse(value) == expected


def test_notations_of_an_initializer():
    given = serialized("initializers", "GlorotUniform", seed=None, input_axes=None, output_axes=None)
    assert INITIALIZERS.parse(given) == INITIALIZERS.parse("glorot_uniform")
    seed = serialized("random", "SeedGenerator", name="seed_generator", seed=1337)
    assert INITIALIZERS.parse(serialized("initializers", "HeNormal", seed=seed)).seed == 1337
    fourier = INITIALIZERS.parse({"STFTInitializer": {"window": [0.5, 1.0]}})
    assert fourier.window == (0.5, 1.0)
    with pytest.raises(SpecError, match="a whole array"):
        INITIALIZERS.parse(serialized("initializers", "Constant", value={"class_name": "__numpy__", "config": {}}))


def on_vectors(layer):
    x = Input((3,), name="x")
    return Model(x, layer(x))


def on_dense(inputs=(4,), **arguments):
    x = Input(inputs, name="x")
    return Model(x, layers.Dense(3, name="d", **arguments)(x))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"bias_constraint": {"MaxNorm": {"axis": 1}}}, r"layer 'd': MaxNorm\(axis=1\): a weight of shape \(3,\)"),
    ({"kernel_constraint": {"UnitNorm": {"axis": [0, -2]}}}, "each once"),
    ({"kernel_constraint": "maxnrm"}, "unknown constraint 'maxnrm'"),
    ({"bias_regularizer": "OrthogonalRegularizer"}, r"takes matrices, got a tensor of shape \(3,\)"),
    ({"inputs": (1,), "kernel_regularizer": "OrthogonalRegularizer"}, "no two rows"),
])
def test_mistakes(arguments, message):
    with pytest.raises(SpecError, match=message):
        on_dense(**arguments)


def test_a_model_with_constraints_as_data_and_back():
    spec = on_dense(kernel_constraint={"MaxNorm": {"axis": [0, 1]}}, activity_regularizer={"L2": {"l2": 0.5}})
    again = ModelSpec.from_data(spec.to_data())
    assert again.digest == spec.digest != on_dense().digest
    assert [weight.constraint for weight in again.weights] == [MaxNorm(axis=(0, 1)), None]
    assert again.layers["d"].activity_penalties == (L2(0.5),)


def test_a_wrapper_keeps_the_constraints_of_its_layer():
    x = Input((5, 4), name="x")
    inner = {"Dense": {"units": 3, "kernel_constraint": "NonNeg", "bias_constraint": "UnitNorm"}}
    for wrapper in (layers.TimeDistributed, layers.SpectralNormalization):
        found = {weight.role: weight.constraint for weight in Model(x, wrapper(inner)(x)).weights}
        assert (found["kernel"], found["bias"]) == (NonNeg(), UnitNorm()), wrapper


@pytest.mark.parametrize(("layer", "message"), [
    (lambda: layers.SpectralNormalization({"Dropout": {"rate": 0.5}}), "draws random numbers"),
    (lambda: layers.SpectralNormalization({"Dense": {"units": 3}}, 0), "power_iterations"),
    (lambda: on_vectors(layers.SpectralNormalization("ReLU")), "no kernel and no embeddings"),
    (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmx": 1}), "Did you mean 'rmax'"),
    (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmax": 1, "rmin": 2}), "rmax must not be below"),
    (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1}), "dmax must not be negative"),
    (lambda: layers.ActivityRegularization(0.1, activity_regularizer="l2"), "takes l1 and l2"),
])
def test_mistakes_of_layers(layer, message):
    with pytest.raises(SpecError, match=message):
        layer()


def test_activity_regularizer_stands_where_keras_has_it():
    """Dense(units, activation, use_bias, two initializers, two regularizers, activity_regularizer, constraints)."""
    names = layers.Dense.positional()
    assert names[6:] == ["bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"]
    assert "activity_regularizer" not in layers.EinsumDense.positional()
    assert "activity_regularizer" not in layers.Embedding.positional()
