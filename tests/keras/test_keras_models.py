"""Models, layers and weights under harness.keras: everything that happens before a framework is needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harness import keras
from harness.errors import SpecError
from harness.spec.layers import LAYERS
from tests.forked import run_source


def mlp(**first: object) -> keras.Sequential:
    return keras.Sequential([keras.layers.Dense(4, activation="relu", **first), keras.layers.Dense(3)])


def branches() -> keras.Model:
    """Two branches of different depths, so that Keras's order of layers is not that of the calls."""
    image = keras.Input((8,), name="image")
    short = keras.layers.Dense(2, name="short")(image)
    long = keras.layers.Dense(5, name="long_1")(image)
    long = keras.layers.BatchNormalization(name="norm")(long)
    long = keras.layers.Dense(2, name="long_2")(long)
    total = keras.layers.add([short, long])
    return keras.Model(image, [keras.layers.Dense(1, name="end")(total), long])


def test_importing_and_building_loads_no_framework() -> None:
    code = ("import sys; from harness import keras; "
            "keras.Sequential([keras.layers.Dense(3, input_shape=(4,))]).summary(); "
            "assert not {'tensorflow', 'torch', 'keras', 'jax'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_input_shape_in_every_way_gives_the_same_model() -> None:
    given = [
        mlp(input_shape=(6,)), mlp(input_dim=6),
        keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3)]),
        keras.Sequential([keras.layers.InputLayer(shape=(6,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3)]),
    ]
    late = mlp()
    assert not late.built
    late.build((None, 6))
    slow = keras.Sequential()
    slow.add(keras.layers.Dense(4, activation="relu", input_shape=(6,)))
    slow.add(keras.layers.Dense(9))
    slow.pop()
    slow.add(keras.layers.Dense(3))
    digests = {model.spec.digest for model in (*given, late, slow)}
    assert len(digests) == 1
    assert late.count_params() == 4 * 7 + 3 * 5
    assert [layer.name for layer in late.layers] == ["dense", "dense_1"]


def test_an_unbuilt_model_says_so() -> None:
    with pytest.raises(SpecError, match="not yet been built"):
        mlp().count_params()


@pytest.mark.frameworks
def test_layers_and_weights_are_in_the_order_of_stock_keras() -> None:
    code = (
        "import keras\n"
        "i = keras.Input((8,), name='image'); s = keras.layers.Dense(2, name='short')(i)\n"
        "l = keras.layers.Dense(5, name='long_1')(i); l = keras.layers.BatchNormalization(name='norm')(l)\n"
        "l = keras.layers.Dense(2, name='long_2')(l); t = keras.layers.add([s, l])\n"
        "m = keras.Model(i, [keras.layers.Dense(1, name='end')(t), l])\n"
        "print([x.name for x in m.layers]); print([tuple(w.shape) for w in m.get_weights()])\n"
        "print([tuple(w.shape) for w in m.trainable_weights])\n"
    )
    printed = run_source("tensorflow", code)
    model = branches()
    ours = [[layer.name for layer in model.layers], [array.shape for array in model.get_weights()],
            [weight.shape for weight in model.trainable_weights]]
    assert printed.splitlines()[-3:] == [str(line) for line in ours]


def test_two_models_differ_and_a_seed_brings_them_back() -> None:
    first, second = mlp(input_shape=(6,)), mlp(input_shape=(6,))
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])
    keras.utils.set_random_seed(0)
    again = mlp(input_shape=(6,))
    for old, new in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    keras.utils.set_random_seed(1)
    assert not np.array_equal(first.get_weights()[0], mlp(input_shape=(6,)).get_weights()[0])


def test_models_that_share_a_layer_share_its_weights() -> None:
    base = keras.Sequential([keras.layers.Dense(4, input_shape=(6,), name="base")])
    image = keras.Input((6,))
    outer = keras.Model(image, keras.layers.Dense(2, name="head")(base(image)))
    assert [layer.name for layer in outer.layers] == ["input", "sequential", "head"]
    kernel = np.arange(24.0).reshape(6, 4)
    base.layers[0].set_weights([kernel, np.ones(4)])
    np.testing.assert_array_equal(outer.get_weights()[0], kernel)
    base.trainable = False
    assert [weight.shape for weight in outer.trainable_weights] == [(4, 2), (2,)]
    assert outer.spec.trainable_parameters == 10
    assert outer.get_layer("sequential") is base


def test_a_model_between_tensors_of_another_sees_its_weights() -> None:
    whole = mlp(input_shape=(6,))
    front = keras.Model(whole.input, whole.layers[0].output)
    np.testing.assert_array_equal(front.get_weights()[0], whole.get_weights()[0])


def test_set_weights_checks_number_and_shapes() -> None:
    model = mlp(input_shape=(6,))
    weights = model.get_weights()
    model.set_weights([weight + 1 for weight in weights])
    np.testing.assert_array_equal(model.get_weights()[1], weights[1] + 1)
    np.testing.assert_array_equal(model.get_weights(framework="pytorch")[1], weights[1] + 1)
    with pytest.raises(SpecError, match="has 4 weights, got 3"):
        model.set_weights(weights[:3])
    with pytest.raises(SpecError, match=r"dense/bias has the shape \(4,\)"):
        model.set_weights([weights[0], weights[0], *weights[2:]])


def test_weights_are_saved_and_read(tmp_path) -> None:
    model, other = mlp(input_shape=(6,)), mlp(input_shape=(6,))
    model.save_weights(tmp_path / "a.safetensors")
    other.load_weights(tmp_path / "a.safetensors")
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(SpecError, match="wrongly shaped: dense/kernel"):
        mlp(input_shape=(5,)).load_weights(tmp_path / "a.safetensors")
    with pytest.raises(SpecError, match=r"Use a\.safetensors"):
        model.save_weights(tmp_path / "a.weights.h5")
    assert not (tmp_path / "a.weights.h5").exists()


def test_a_clone_has_weights_of_its_own() -> None:
    for model in (mlp(input_shape=(6,)), branches()):
        clone = keras.models.clone_model(model)
        assert clone.spec.digest == model.spec.digest
        assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("name", sorted(LAYERS.classes))
def test_every_layer_of_the_vocabulary_is_there(name: str) -> None:
    assert getattr(keras.layers, name).spec_class is LAYERS.classes[name]


def test_second_names_and_functions() -> None:
    from harness.keras.layers import AvgPool2D, Convolution2D, GlobalAvgPool2D, MaxPool2D

    for cls, name in ((AvgPool2D, "AveragePooling2D"), (Convolution2D, "Conv2D"), (MaxPool2D, "MaxPooling2D"),
                      (GlobalAvgPool2D, "GlobalAveragePooling2D")):
        assert cls is getattr(keras.layers, name)
    a, b = keras.Input((3,)), keras.Input((3,))
    assert keras.layers.concatenate([a, b]).shape == (None, 6)
    assert keras.activations.relu(a).shape == (None, 3)
    model = keras.Sequential([keras.layers.Dense(2, activation=keras.activations.tanh, input_shape=(3,),
                                                 kernel_initializer=keras.initializers.HeNormal(seed=1),
                                                 kernel_regularizer=keras.regularizers.l2(0.1))])
    assert model.layers[0].activation == "tanh"
    assert isinstance(model.layers[0], keras.layers.Dense)
    assert isinstance(model.layers[0], keras.layers.Layer)


REFUSED = {
    "layers": ("Lambda", "AugMix"), "optimizers": ("MultiOptimizer",), "losses": ("serialize",),
    "metrics": ("Mean",), "callbacks": ("ModelCheckpoint", "Callback", "TensorBoard"), "utils": ("get_file",),
}


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, names in REFUSED.items() for name in names])
def test_what_is_not_carried_can_be_imported_and_is_refused_by_name(room: str, name: str) -> None:
    stand_in = getattr(getattr(keras, room), name)
    with pytest.raises(SpecError, match=rf"keras\.{room}\.{name} is not supported"):
        stand_in()
    with pytest.raises(SpecError, match=name):
        type("Mine", (stand_in,), {})


def test_a_slip_of_the_pen_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"Did you mean 'Dense'"):
        keras.layers.Dens  # noqa: B018
    assert not hasattr(keras.layers, "Dens")
    with pytest.raises(AttributeError, match=r"Did you mean 'matmul'"):
        keras.ops.matmull  # noqa: B018


def test_code_of_ones_own_is_refused() -> None:
    for base in (keras.Model, keras.Sequential, keras.layers.Layer):
        with pytest.raises(SpecError, match="of your own"):
            type("Mine", (base,), {})


def test_numpy_helpers_do_what_keras_does() -> None:
    np.testing.assert_array_equal(keras.utils.to_categorical([[0], [2]], 3), [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(SpecError, match="from 0 to 3"):
        keras.utils.to_categorical([0, 3], 3)
    pad = keras.utils.pad_sequences
    np.testing.assert_array_equal(pad([[1], [2, 3, 4]]), [[0, 0, 1], [2, 3, 4]])
    np.testing.assert_array_equal(pad([[1], [2, 3, 4]], maxlen=2, padding="post", truncating="post"), [[1, 0], [2, 3]])
    np.testing.assert_allclose(keras.utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])
