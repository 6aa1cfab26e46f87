"""Layers of text and hashes in NumPy make what stock Keras makes, and models may begin with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.data import adapted, from_arrays, load
from harness.data.text import FUNCTIONS
from harness.data.text_hashing import crossed, fingerprint, keyed
from harness.data.text_prefix import host_inputs, on_host
from harness.errors import DataError, SpecError
from harness.spec.host import device_part
from harness.spec.layers import LAYERS
from harness.spec.model import ModelSpec
from tests.data.text_cases import ADAPTED, CASES, CROSSINGS
from tests.forked import run_module, run_source


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What stock Keras makes of all cases."""
    path = tmp_path_factory.mktemp("text") / "keras.npz"
    run_module("tensorflow", "tests.data.text_by_keras", path)
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.frameworks
@pytest.mark.parametrize("name", CASES)
def test_layers_make_what_keras_makes(name: str, stock: dict[str, np.ndarray]) -> None:
    kind, arguments, values = CASES[name]
    layer = LAYERS.find(kind)(**arguments)
    made = FUNCTIONS[type(layer)](layer, np.array(values))
    assert made.shape == stock[name].shape
    np.testing.assert_array_equal(made, stock[name])
    shape = (None, *np.shape(values)[1:])
    assert layer.compute_output_shape(shape)[1:] == made.shape[1:]


@pytest.mark.frameworks
@pytest.mark.parametrize("name", CROSSINGS)
def test_crossings_are_those_of_keras(name: str, stock: dict[str, np.ndarray]) -> None:
    arguments, features = CROSSINGS[name]
    layer = layers.HashedCrossing(**arguments)
    np.testing.assert_array_equal(FUNCTIONS[type(layer)](layer, *map(np.array, features)), stock[name])


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ADAPTED)
def test_adapted_layers_have_learned_what_those_of_keras_have(name: str, stock: dict[str, np.ndarray]) -> None:
    kind, arguments, data = ADAPTED[name]
    layer = adapted(kind, np.array(data), **arguments)
    found = {key.partition(": ")[2]: value for key, value in stock.items() if key.startswith(f"{name}: ")}
    assert found
    for key, value in found.items():
        ours = np.asarray(getattr(layer, key))
        if value.dtype.kind == "f":
            np.testing.assert_allclose(ours, value.reshape(ours.shape), rtol=2e-6)
        else:
            assert ours.tolist() == value.tolist()


def test_hashes_have_their_known_values() -> None:
    # The second is the reference value of SipHash-2-4 for the key 0, 1, ..., 15 and the text 0, 1, ..., 14.
    assert fingerprint(b"") == 0x9AE16A3B2F90404F
    key = (int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little"))
    assert keyed(bytes(range(15)), key) == 0xA129CA6149BE45E5
    assert crossed((1, 7)) != crossed((7, 1))


def text_model() -> ModelSpec:
    text = Input(shape=(1,), dtype="string", name="text")
    size = Input(shape=(2,), name="size")
    ids = layers.TextVectorization(vocabulary=["good", "bad", "film"], output_sequence_length=4, name="words")(text)
    x = layers.Embedding(5, 3, name="table")(ids)
    x = layers.GlobalAveragePooling1D()(x)
    return Model([text, size], layers.Dense(2, activation="softmax", name="out")(layers.Concatenate()([x, size])),
                 name="text_model")


def test_a_model_of_text_is_split_and_kept_whole_in_its_file() -> None:
    spec = text_model()
    rest = device_part(spec)
    assert [(item.name, item.shape, item.dtype) for item in rest.inputs] == [
        ("size", (None, 2), "float32"), ("words", (None, 4), "int64")]
    assert "words" not in rest.layers
    assert [weight.name for weight in rest.weights] == [weight.name for weight in spec.weights]
    assert ModelSpec.from_data(spec.to_data()).digest == spec.digest
    given = {"text": np.array([["A good film!"], ["bad"]]), "size": np.zeros((2, 2))}
    np.testing.assert_array_equal(host_inputs(spec, given)["words"], [[1, 2, 4, 0], [3, 0, 0, 0]])
    plain = Model(image := Input((3,)), layers.Dense(1)(image))
    assert device_part(plain) is plain


def test_what_the_host_cannot_compute_is_refused() -> None:
    text = Input(shape=(1,), dtype="string", name="text")
    number = Input(shape=(1,), name="number")
    with pytest.raises(SpecError, match="which only layers of text can read"):
        device_part(Model(text, layers.Dense(1)(text)))
    with pytest.raises(SpecError, match="is computed there"):
        device_part(Model(number, layers.Hashing(3)(layers.Dense(1)(number))))
    with pytest.raises(SpecError, match="nothing is left"):
        device_part(Model(text, layers.Hashing(3)(text)))
    with pytest.raises(SpecError, match=r"vocabulary is not given.*harness\.data\.adapted"):
        layers.StringLookup()
    with pytest.raises(SpecError, match="read from a file"):
        layers.TextVectorization(vocabulary="words.txt")
    with pytest.raises(SpecError, match="output_sequence_length"):
        layers.TextVectorization(vocabulary=["a"])
    with pytest.raises(SpecError, match="more than once"):
        layers.IntegerLookup(vocabulary=[1, 1])
    layer = layers.StringLookup(vocabulary=["a"], num_oov_indices=0)
    with pytest.raises(DataError, match="not in the vocabulary"):
        FUNCTIONS[type(layer)](layer, np.array([["b"]]))


def test_text_that_nothing_reads_is_refused() -> None:
    spec = Model(image := Input((1,)), layers.Dense(1)(image))
    with pytest.raises(DataError, match="expected numbers"):
        on_host(spec, from_arrays(np.array([["a"], ["b"]]), np.zeros((2, 1))))


PROGRAM = """
import sys
import numpy as np, harness
from harness.data import from_arrays
from tests.data.test_text import text_model
texts = np.array([["a good film"], ["bad bad"], ["film"], ["good"]] * 4)
data = from_arrays({"text": texts, "size": np.ones((16, 2))}, np.array([0, 1, 1, 0] * 4))
recipe = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "epochs": 2, "batch_size": 4}
run = harness.train(text_model(), recipe, data, backend=sys.argv[1], dtype="float64")
np.savetxt(sys.argv[2], run.losses, fmt="%.17g")
"""


@pytest.mark.frameworks
def test_a_model_of_text_trains_alike_in_both(tmp_path: Path) -> None:
    losses = {}
    for backend in ("tensorflow", "pytorch"):
        run_source(backend, PROGRAM, backend, tmp_path / backend)
        losses[backend] = np.loadtxt(tmp_path / backend)
    assert losses["pytorch"].shape == (8,)
    assert losses["pytorch"][-1] < losses["pytorch"][0]
    np.testing.assert_allclose(losses["pytorch"], losses["tensorflow"], rtol=1e-12)


def test_text_is_prepared_for_a_model_of_numbers(tmp_path: Path) -> None:
    texts = np.array([["a good film"], ["bad bad"], ["film"], ["good"]] * 5)
    np.savez(tmp_path / "films.npz", x_train=texts, y_train=np.array([0, 1, 1, 0] * 5))
    dataset = load({"source": {"npz": str(tmp_path / "films.npz")}, "split": {"validation": 0.2, "test": 0},
                    "prepare": [{"text_vectorization": {"output_sequence_length": 3, "max_tokens": 5}}]})
    assert dataset.train.x["x"].shape == (16, 3)
    assert dataset.train.x["x"].dtype == np.int32
    assert dataset.train.x["x"].max() == 4
