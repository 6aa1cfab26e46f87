"""First weights: Keras's formulas, one generator per weight."""

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.initial import initial_weights, values
from harness.plan.randomness import generator
from harness.spec import initializers


def draw(initializer, shape):
    return values(initializer, shape, generator(0, "test"))


def test_glorot_uniform_limit_and_spread():
    drawn = draw(initializers.GlorotUniform(), (300, 200))
    limit = np.sqrt(6 / 500)
    assert np.abs(drawn).max() <= limit
    assert drawn.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


@pytest.mark.parametrize("initializer", [initializers.HeNormal(), initializers.LecunNormal()])
def test_truncated_normal_has_the_variance_after_truncation(initializer):
    drawn, fan = draw(initializer, (3, 3, 16, 256)), 3 * 3 * 16
    scale = 2.0 if isinstance(initializer, initializers.HeNormal) else 1.0
    assert drawn.std() == pytest.approx(np.sqrt(scale / fan), rel=0.02)
    assert np.abs(drawn).max() <= 2 * np.sqrt(scale / fan) / 0.87962566103423978 + 1e-12


def test_truncated_normal_without_correction():
    drawn = draw(initializers.TruncatedNormal(stddev=1.0), (200_000,))
    assert drawn.std() == pytest.approx(0.8796, rel=0.01)


def test_orthogonal_columns():
    drawn = draw(initializers.Orthogonal(gain=2.0), (3, 3, 8, 16))
    matrix = drawn.reshape(72, 16)
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(16), atol=1e-12)


def test_constants():
    assert (draw(initializers.Constant(value=0.5), (3,)) == 0.5).all()
    assert np.array_equal(draw(initializers.Identity(gain=3.0), (2, 2)), 3 * np.eye(2))
    with pytest.raises(SpecError, match="Identity"):
        draw(initializers.Identity(), (2, 2, 2))


def model(extra: bool):
    x = image = Input((4,), name="x")
    x = layers.Dense(3, name="first")(x)
    if extra:
        x = layers.Dense(3, name="extra")(x)
    return Model(image, layers.Dense(2, name="last")(x))


def test_a_further_layer_changes_no_other_layers_values():
    short, long = initial_weights(model(False), 7), initial_weights(model(True), 7)
    for name in short:
        assert np.array_equal(short[name], long[name]), name
    assert not np.array_equal(short["first/kernel"], initial_weights(model(False), 8)["first/kernel"])


def test_an_initializers_own_seed_wins():
    x = Input((4,), name="x")
    spec = Model(x, layers.Dense(3, name="d", kernel_initializer={"GlorotUniform": {"seed": 5}})(x))
    assert np.array_equal(initial_weights(spec, 1)["d/kernel"], initial_weights(spec, 2)["d/kernel"])
