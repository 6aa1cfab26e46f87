"""Names: Keras's second ones, those that are refused, and the page that lists them."""

import pytest

from harness import keras, layers
from harness.errors import SpecError
from harness.keras.keras_layers import NAMES
from harness.spec.layers import LAYERS
from harness.spec.layers.refused import ALIASES, REFUSED
from tests.spec.layers_page import PAGE, page


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_second_names(alias, name):
    assert getattr(layers, alias) is LAYERS.find(name)
    assert LAYERS.find(alias) is LAYERS.find(name)
    if alias in NAMES:
        assert getattr(keras.layers, alias) is getattr(keras.layers, name)


def test_every_name_of_keras_is_known_or_refused():
    functions = {name for name in NAMES if name[0].islower()} | {"Input", "InputSpec"}
    assert [name for name in NAMES if name not in functions | REFUSED.keys() and not LAYERS.knows(name)] == []


def test_the_functions_are_there():
    for name in ("add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"):
        assert callable(getattr(keras.layers, name))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refusal_says_why_and_what_to_do(name):
    for read in (lambda: LAYERS.find(name), lambda: LAYERS.parse({name: {}}),
                 lambda: LAYERS.parse({"class_name": name, "config": {}})):
        with pytest.raises(SpecError, match="refused") as error:
            read()
        assert REFUSED[name].reason in str(error.value)
        assert REFUSED[name].way_out in str(error.value)
    if name not in ("Layer", "InputLayer"):  # which harness.keras has, as the base and the front of its own
        with pytest.raises(SpecError, match="not supported under"):
            getattr(keras.layers, name)()


def test_channels_first_is_channels_last_turned():
    first = layers.Conv2D(5, 3, strides=2, padding="same", data_format="channels_first")
    last = layers.Conv2D(5, 3, strides=2, padding="same")
    assert first.compute_output_shape((None, 4, 8, 7)) == (None, 5, 4, 4)
    assert last.compute_output_shape((None, 8, 7, 4)) == (None, 4, 4, 5)
    assert [weight.shape for weight in first.weights((None, 4, 8, 7))] == [(3, 3, 4, 5), (5,)]
    assert first.flops((None, 4, 8, 7)) == last.flops((None, 8, 7, 4))
    assert layers.Flatten("channels_first").compute_output_shape((None, 3, 2, 2)) == (None, 12)
    assert layers.GlobalMaxPooling2D(data_format="channels_first", keepdims=True).compute_output_shape(
        (None, 3, 5, 6)) == (None, 3, 1, 1)
    assert layers.Conv1D(2, 3, data_format=None).data_format == "channels_last"
    with pytest.raises(SpecError, match="unknown data_format"):
        layers.Conv1D(2, 3, data_format="channels_middle")


def test_the_page_is_what_is_there():
    assert PAGE.read_text() == page(), "python -m tests.spec.layers_page writes docs/layers.md anew"
