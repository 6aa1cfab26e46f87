"""Our learning rates against stock Keras's schedules, given np.float64 arguments so that they keep float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import SpecError
from harness.plan.schedule import SCHEDULES, learning_rates
from harness.spec import schedules as spec
from tests.forked import run_source

STEPS = 1000
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "exponential": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 130, "decay_rate": 0.7}),
    "staircase": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 130, "decay_rate": 0.7, "staircase": True},
    ),
    "inverse": ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 90, "decay_rate": 0.5}),
    "inverse_staircase": (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 90, "decay_rate": 0.5, "staircase": True},
    ),
    "linear": ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 700, "end_learning_rate": 1e-4}),
    "power": (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 700, "end_learning_rate": 0.003, "power": 2.5},
    ),
    "cycle": (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 170, "end_learning_rate": 1e-4, "cycle": True, "power": 0.5},
    ),
    "piecewise": ("PiecewiseConstantDecay", {"boundaries": [10, 300, 301], "values": [0.1, 0.05, 0.2, 0.001]}),
    "one_boundary": ("PiecewiseConstantDecay", {"boundaries": [500], "values": [0.1, 0.01]}),
    "cosine": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 800, "alpha": 0.02}),
    "warmup": (
        "CosineDecay",
        {"initial_learning_rate": 0.001, "decay_steps": 600, "alpha": 0.02, "warmup_target": 0.1, "warmup_steps": 120},
    ),
    "warmup_without_steps": (
        "CosineDecay",
        {"initial_learning_rate": 0.001, "decay_steps": 600, "warmup_target": 0.1},
    ),
    "restarts": ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 70}),
    "restarts_lower": (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 70, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.01},
    ),
    "restarts_even": (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 64, "t_mul": 1.0, "m_mul": 0.9},
    ),
}

KERAS = """
import sys
import numpy as np, keras, tensorflow as tf
sys.path.insert(0, sys.argv[1])
from test_schedule import CASES, STEPS

def exact(value):
    if isinstance(value, bool) or value is None:
        return value
    return [exact(item) for item in value] if isinstance(value, list) else np.float64(value)

rates = {}
for name, (cls, arguments) in CASES.items():
    arguments = {key: exact(value) for key, value in arguments.items()}
    if "boundaries" in arguments:
        arguments["boundaries"] = [int(value) for value in arguments["boundaries"]]
    schedule = getattr(keras.optimizers.schedules, cls)(**arguments)
    every = tf.function(lambda: tf.map_fn(schedule, tf.range(STEPS, dtype=tf.int64), fn_output_signature=tf.float64))
    rates[name] = every().numpy()
np.savez(sys.argv[2], **rates)
"""


@pytest.fixture(scope="module")
def of_keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("schedules") / "keras.npz"
    run_source("tensorflow", KERAS, Path(__file__).parent, path)
    return dict(np.load(path))

# Steps at which a new cosine period begins, by the definition. Keras finds them with a quotient of logarithms,
# which rounding may put on either side (in float64 TensorFlow's misses step 490).
RESTARTS = {"restarts": [70, 210, 490], "restarts_lower": [70, 175]}


@pytest.mark.parametrize("name", CASES)
def test_rates_are_those_of_keras(name: str, of_keras: dict[str, np.ndarray]) -> None:
    cls, arguments = CASES[name]
    rates = learning_rates(spec.SCHEDULES.parse({cls: arguments}), STEPS)
    assert rates.dtype == np.float64
    assert rates.shape == (STEPS,)
    elsewhere = np.setdiff1d(np.arange(STEPS), RESTARTS.get(name, []))
    np.testing.assert_allclose(rates[elsewhere], of_keras[name][elsewhere], rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize("name", RESTARTS)
def test_a_restart_is_at_its_step(name: str) -> None:
    cls, arguments = CASES[name]
    rates = learning_rates(spec.SCHEDULES.parse({cls: arguments}), STEPS)
    for index, step in enumerate(RESTARTS[name], start=1):
        peak, alpha = 0.1 * arguments.get("m_mul", 1.0) ** index, arguments.get("alpha", 0.0)
        assert rates[step] == pytest.approx(peak * (1 - alpha) + 0.1 * alpha, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_later_phase_goes_on_where_the_first_stopped(name: str) -> None:
    cls, arguments = CASES[name]
    schedule = spec.SCHEDULES.parse({cls: arguments})
    later = learning_rates(schedule, 100, first_iteration=250)
    np.testing.assert_array_equal(later, learning_rates(schedule, 350)[250:])


def test_a_constant_rate() -> None:
    np.testing.assert_array_equal(learning_rates(0.25, 3), np.full(3, 0.25))


def test_every_schedule_has_a_formula_and_a_case() -> None:
    of_keras = {name: cls for name, cls in spec.SCHEDULES.classes.items() if cls is not spec.WarmupDecay}
    assert set(SCHEDULES) == set(of_keras.values())
    assert {cls for cls, _ in CASES.values()} == set(of_keras)


@pytest.mark.parametrize(("decay", "half"), [("linear", 0.05), ("cosine", 0.05), ("constant", 0.1)])
def test_warm_up_and_decay_over_the_steps_of_a_phase(decay: str, half: float) -> None:
    """By the formulas of get_linear_ and get_cosine_schedule_with_warmup of Hugging Face's transformers."""
    rates = learning_rates(spec.WarmupDecay(0.1, warmup=0.1, decay=decay), 200, first_iteration=77)
    np.testing.assert_allclose(rates[:21], 0.1 * np.arange(21) / 20)
    assert rates[110] == pytest.approx(half)
    left = {"linear": 1 / 180, "cosine": 0.5 * (1 + np.cos(np.pi * 179 / 180)), "constant": 1.0}[decay]
    assert rates[199] == pytest.approx(0.1 * left)
    assert learning_rates(spec.WarmupDecay(0.1, end_learning_rate=0.02), 10)[5] == pytest.approx(0.06)


def test_a_warm_up_is_shorter_than_its_phase_and_given_once() -> None:
    with pytest.raises(SpecError, match="leaves none of the phase's 10"):
        learning_rates(spec.WarmupDecay(0.1, warmup_steps=10), 10)
    with pytest.raises(SpecError, match="given twice"):
        spec.WarmupDecay(0.1, warmup=0.1, warmup_steps=10)


def test_a_schedule_that_ends_in_nan_is_refused() -> None:
    shrinking = spec.CosineDecayRestarts(0.1, 10, t_mul=0.5)
    assert np.isfinite(learning_rates(shrinking, 19)).all()
    with pytest.raises(SpecError, match="no finite learning rate at step 20"):
        learning_rates(shrinking, 40)
