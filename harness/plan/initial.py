"""Draws initial weights in NumPy by Keras's own formulas (keras/src/initializers/random_initializers.py).

Every weight has its own generator, keyed by the seed and the weight's name: adding a layer changes no
other layer's values.
"""

from __future__ import annotations

import math

import numpy as np

from harness.errors import SpecError
from harness.plan.randomness import generator
from harness.spec import initializers as spec
from harness.spec.model import ModelSpec, NamedWeight

# The standard deviation of a standard normal truncated at two standard deviations.
TRUNCATED_STDDEV = 0.87962566103423978


def initial_weights(model: ModelSpec, seed: int) -> dict[str, np.ndarray]:
    """float64 arrays in Keras's layout by canonical name."""
    return {weight.name: draw(weight, seed) for weight in model.weights}


def draw(weight: NamedWeight, seed: int) -> np.ndarray:
    """One weight's first values, float64. An initializer's own seed replaces the run's."""
    own_seed = getattr(weight.initializer, "seed", None)
    rng = generator(seed if own_seed is None else own_seed, "initial", weight.name)
    return np.asarray(values(weight.initializer, weight.shape, rng, weight.fans), np.float64).reshape(weight.shape)


def values(
    initializer: spec.Initializer, shape: tuple[int, ...], rng: np.random.Generator,
    fans: tuple[float, float] | None = None,
) -> np.ndarray:
    """The values of an initializer. Raises SpecError for a kind that needs code of its own."""
    match initializer:
        case spec.Zeros():
            return np.zeros(shape)
        case spec.Ones():
            return np.ones(shape)
        case spec.Constant(value=value):
            return np.full(shape, value)
        case spec.RandomNormal(mean=mean, stddev=stddev):
            return rng.normal(mean, stddev, shape)
        case spec.TruncatedNormal(mean=mean, stddev=stddev):
            return mean + stddev * truncated_normal(rng, shape)
        case spec.RandomUniform(minval=low, maxval=high):
            return rng.uniform(low, high, shape)
        case spec.VarianceScaling():
            chosen = initializer.scale, initializer.mode, initializer.distribution
            return variance_scaling(*chosen, shape, rng, own_fans(initializer, shape) or fans)
        case spec.Orthogonal(gain=gain):
            return gain * orthogonal(rng, shape)
        case spec.Identity(gain=gain):
            if len(shape) != 2:
                raise SpecError(f"the Identity initializer makes matrices, not weights of shape {shape}.")
            return gain * np.eye(*shape)
        case spec.STFT():
            return fourier_kernel(initializer, shape)
        case spec.SquareRoot(of=others):
            return np.asarray(np.sqrt(values(others, shape, rng, fans)))
        case spec.ForgetGateBias(units=units, others=others):
            blocks = (values(others, (units,), rng), np.ones(units), values(others, (2 * units,), rng))
            return np.concatenate(blocks)
    if isinstance(initializer, spec.Scaled):
        scale, mode, distribution = _SCALED[type(initializer)]
        return variance_scaling(scale, mode, distribution, shape, rng, own_fans(initializer, shape) or fans)
    raise SpecError(f"the initializer {initializer!r} has no drawing rule.")


_SCALED: dict[type[spec.Scaled], tuple[float, str, str]] = {
    spec.GlorotUniform: (1.0, "fan_avg", "uniform"),
    spec.GlorotNormal: (1.0, "fan_avg", "truncated_normal"),
    spec.HeUniform: (2.0, "fan_in", "uniform"),
    spec.HeNormal: (2.0, "fan_in", "truncated_normal"),
    spec.LecunUniform: (1.0, "fan_in", "uniform"),
    spec.LecunNormal: (1.0, "fan_in", "truncated_normal"),
}


def variance_scaling(
    scale: float, mode: str, distribution: str, shape: tuple[int, ...], rng: np.random.Generator,
    fans: tuple[float, float] | None,
) -> np.ndarray:
    """Keras's VarianceScaling: scale / fan is the variance (of the truncated normal, after truncation)."""
    fan_in, fan_out = fans or fans_of_shape(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    scale = scale / max(1.0, fan)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * scale)
        return rng.uniform(-limit, limit, shape)
    if distribution == "untruncated_normal":
        return rng.normal(0.0, math.sqrt(scale), shape)
    return math.sqrt(scale) / TRUNCATED_STDDEV * truncated_normal(rng, shape)


def own_fans(initializer: spec.VarianceScaling | spec.Scaled, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """(fan_in, fan_out) by the axes that the initializer names, None if it names none."""
    inputs, outputs = initializer.input_axes, initializer.output_axes
    if inputs is None or outputs is None:
        return None
    rank = len(shape)
    if not all(-rank <= axis < rank for axis in (*inputs, *outputs)):
        raise SpecError(f"{initializer!r}: a weight of shape {shape} does not have these axes.")
    return float(math.prod(shape[axis] for axis in inputs)), float(math.prod(shape[axis] for axis in outputs))


def fans_of_shape(shape: tuple[int, ...]) -> tuple[float, float]:
    """(fan_in, fan_out) of a weight in Keras's layout (random_initializers.py: compute_fans)."""
    if len(shape) < 1:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal values, redrawn beyond two standard deviations."""
    drawn = rng.standard_normal(shape)
    while (far := np.abs(drawn) > 2.0).any():
        drawn[far] = rng.standard_normal(int(far.sum()))
    return np.asarray(drawn)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Orthonormal columns (or rows) of the weight seen as a matrix (prod(shape[:-1]), shape[-1])."""
    if len(shape) < 2:
        raise SpecError(f"the Orthogonal initializer needs at least two dimensions, got a weight of shape {shape}.")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if rows >= columns else q.T).reshape(shape)


def fourier_kernel(initializer: spec.STFT, shape: tuple[int, ...]) -> np.ndarray:
    """cos or sin of -2 pi time * frequency / length, times the window (constant_initializers.py: STFT)."""
    if len(shape) != 3 or shape[1] != 1:
        raise SpecError(f"the STFT initializer makes kernels of shape (frame length, 1, frequencies), not {shape}.")
    length, _, frequencies = shape
    angles = -2.0 * np.pi * np.arange(length)[:, None, None] * np.arange(frequencies) / ((frequencies - 1) * 2)
    kernel = np.cos(angles) if initializer.side == "real" else np.sin(angles)
    if initializer.window is None:
        return np.asarray(kernel)
    window = window_values(initializer, length)
    norm = {"density": math.sqrt(np.square(window).sum()), "spectrum": np.abs(window).sum(), None: 1.0}
    return np.asarray(kernel * window[:, None, None] / norm[initializer.scaling])


def window_values(initializer: spec.STFT, length: int) -> np.ndarray:
    """float64 [length]. Raises SpecError for an unknown window or one of another length."""
    window = initializer.window
    if isinstance(window, str):
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(window, length, initializer.periodic))
        except ValueError as error:
            raise SpecError(f"the STFT initializer: {error}", hint="Name a window of scipy.signal.windows.") from None
    if len(window or ()) != length:
        raise SpecError(f"the STFT initializer's window has {len(window or ())} values, the kernel {length} places.")
    return np.asarray(window, np.float64)
