"""The order of the calls is Keras's: by depth."""

from harness import Input, Model, layers
from harness.spec.order import execution_order


def names(spec):
    return [node.name for node in execution_order(spec)]


def test_a_chain_keeps_its_order():
    x = image = Input((4,))
    for name in "abc":
        x = layers.Dense(4, name=name)(x)
    assert names(Model(image, x)) == ["a", "b", "c"]


def test_what_is_farther_from_the_outputs_comes_first():
    image = Input((4, 3))
    x = layers.Dense(3, name="x")(image)
    near = layers.Dense(2, name="near")(x)
    far = layers.Dense(2, name="far")(layers.MultiHeadAttention(1, 2, name="attention")(x, x))
    spec = Model(image, [near, far])
    assert [node.name for node in spec.nodes] == ["x", "near", "attention", "far"]
    assert names(spec) == ["x", "attention", "near", "far"]


def test_a_call_of_a_shared_layer_moves_up_to_the_deepest_one():
    image = Input((4,))
    shared = layers.BatchNormalization(name="shared")
    deep = shared(layers.Dense(4, name="other")(image))
    for name in ("middle", "last"):
        deep = layers.Dense(4, name=name)(deep)
    # On its own the first call would come with "last".
    assert names(Model(image, [shared(image), deep])) == ["other", "shared", "shared@1", "middle", "last"]
