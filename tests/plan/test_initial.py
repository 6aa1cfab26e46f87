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


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform", "Normal"])
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 400), ("fan_out", 600), ("fan_avg", 500)])
def test_variance_scaling_has_keras_variance(distribution, mode, fan):
    """stddev = sqrt(scale / fan), after truncation; "normal" is Keras's older name of the truncated one."""
    drawn = draw(initializers.VarianceScaling(3.0, mode, distribution), (400, 600))
    assert drawn.std() == pytest.approx(np.sqrt(3 / fan), rel=0.01)
    assert drawn.mean() == pytest.approx(0, abs=4 * np.sqrt(3 / fan / drawn.size))
    largest = {"uniform": np.sqrt(3), "untruncated_normal": 6}.get(distribution, 2 / 0.87962566103423978)
    assert np.abs(drawn).max() <= largest * np.sqrt(3 / fan)
    assert np.abs(drawn).max() > 0.9 * min(largest, 4) * np.sqrt(3 / fan)


@pytest.mark.parametrize(("name", "stddev"), [
    ("glorot_uniform", np.sqrt(2 / 1000)), ("glorot_normal", np.sqrt(2 / 1000)), ("he_uniform", np.sqrt(2 / 400)),
    ("he_normal", np.sqrt(2 / 400)), ("lecun_uniform", np.sqrt(1 / 400)), ("lecun_normal", np.sqrt(1 / 400)),
    ("normal", 0.05), ("random_normal", 0.05), ("uniform", 0.05 / np.sqrt(3)), ("random_uniform", 0.05 / np.sqrt(3)),
    ("truncated_normal", 0.05 * 0.87962566103423978),
])
def test_strings_of_keras(name, stddev):
    assert draw(initializers.INITIALIZERS.parse(name), (400, 600)).std() == pytest.approx(stddev, rel=0.01)


def test_strings_of_keras_for_constants():
    for name, value in {"zero": 0, "zeros": 0, "one": 1, "ones": 1, "constant": 0}.items():
        assert (draw(initializers.INITIALIZERS.parse(name), (3, 2)) == value).all(), name
    for name in ("orthogonal", "OrthogonalInitializer", "identity", "IdentityInitializer"):
        drawn = draw(initializers.INITIALIZERS.parse(name), (3, 3))
        np.testing.assert_allclose(drawn @ drawn.T, np.eye(3), atol=1e-12)


def test_axes_of_an_initializer_decide_on_its_fans():
    own = initializers.GlorotUniform(input_axes=[0], output_axes=[1, 2])
    drawn = values(own, (300, 20, 10), generator(0, "test"), (1.0, 1.0))
    assert np.abs(drawn).max() == pytest.approx(np.sqrt(6 / (300 + 200)), rel=1e-3)
    with pytest.raises(SpecError, match="does not have these axes"):
        draw(initializers.HeNormal(input_axes=[0], output_axes=[3]), (3, 4))


def test_square_root_of_the_other_values():
    root = initializers.SquareRoot(of={"Constant": {"value": 9.0}})
    assert (draw(root, (3,)) == 3).all()


def fourier(side, window, scaling, periodic, shape):
    """The formula of keras/src/initializers/constant_initializers.py, element by element."""
    from scipy.signal import get_window

    length, _, count = shape
    weights = np.ones(length) if window is None else get_window(window, length, periodic)
    by = {"density": np.sqrt((weights**2).sum()), "spectrum": np.abs(weights).sum(), None: 1.0}[scaling]
    by = 1.0 if window is None else by
    wave = np.cos if side == "real" else np.sin
    return np.array([[[wave(-2 * np.pi * t * f / (2 * (count - 1))) * weights[t] / by for f in range(count)]]
                     for t in range(length)])


@pytest.mark.parametrize(("side", "window", "scaling", "periodic"), [
    ("real", "hann", "density", False), ("imag", "hamming", "spectrum", True), ("real", None, "density", False),
    ("imag", "hann", None, True),
])
def test_kernels_of_a_fourier_transform(side, window, scaling, periodic):
    shape = (8, 1, 5)
    drawn = draw(initializers.STFT(side, window, scaling, periodic), shape)
    np.testing.assert_allclose(drawn, fourier(side, window, scaling, periodic, shape), atol=1e-14)


@pytest.mark.parametrize(("arguments", "shape", "message"), [
    ({}, (8, 5), "makes kernels of shape"), ({"window": "hanning"}, (8, 1, 5), "STFT initializer"),
    ({"window": [1.0, 2.0]}, (8, 1, 5), "window has 2 values, the kernel 8 places"),
])
def test_mistakes_with_kernels_of_a_fourier_transform(arguments, shape, message):
    with pytest.raises(SpecError, match=message):
        draw(initializers.STFT(**arguments), shape)
