"""The end of warm-up on synthetic traces: what "right" means stands in harness/measure/steady.py."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.steady import Steady, steady

STEADINESS, WINDOW, TRACES, MOST = 0.01, 50, 60, 400
NOISES = (0.005, 0.01, 0.02, 0.03)


def decided(trace: np.ndarray, *, every: int = 6) -> tuple[Steady, int] | None:
    """As it is judged while the trace grows: (the state, after how many sub-windows), None if there never is one."""
    for length in range(every, len(trace) + 1, every):
        state = steady(trace[:length], STEADINESS, WINDOW)
        if state is not None:
            return state, length
    return None


def noisy(base: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    return 0.003 * base * (1 + noise * rng.standard_normal(len(base)))


def step_warmup(rng: np.random.Generator, steps: int, noise: float) -> tuple[np.ndarray, float]:
    """(sub-windows' noise-free step times, the true end in steps): slow, and from one step on not."""
    end = int(rng.integers(0, 12 * steps))
    inside = np.arange(MOST * steps) < end
    return np.where(inside, 1 + rng.uniform(0.1, 3), 1.0).reshape(MOST, steps).mean(axis=1), end


def exponential_warmup(rng: np.random.Generator, steps: int, noise: float) -> tuple[np.ndarray, float]:
    height, tau = rng.uniform(0.3, 5), rng.uniform(2, 8)
    times = 1 + height * np.exp(-np.arange(MOST * steps) / tau)
    return times.reshape(MOST, steps).mean(axis=1), max(0.0, tau * np.log(height / max(STEADINESS, noise)))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("warmup", [step_warmup, exponential_warmup])
def test_the_end_is_right_within_ten_steps_in_95_percent(warmup, steps: int, noise: float):
    right, lengths = 0, []
    for seed in range(TRACES):
        rng = np.random.default_rng(seed)
        base, end = warmup(rng, steps, noise)
        found = decided(noisy(base, noise, rng))
        assert found is not None
        state, length = found
        right += abs(state.since * steps - end) <= 10
        lengths.append(length)
        assert state.step_seconds == pytest.approx(0.003, rel=max(STEADINESS, noise))
    assert right >= 0.95 * TRACES
    # A warm-up of one window's length where there is little noise, of three or four where there is much.
    assert np.median(lengths) <= (1.8 if noise <= 0.01 else 3.8) * WINDOW


@pytest.mark.parametrize("noise", NOISES)
def test_a_machine_that_slows_down_is_never_steady(noise: float):
    slowing = 1 + 0.05 * np.arange(MOST) / WINDOW
    refused = [decided(noisy(slowing, noise, np.random.default_rng(seed)), every=10) is None for seed in range(25)]
    assert np.mean(refused) >= 0.95


def test_a_machine_that_slows_down_and_stays_slow_is_steady_from_there_on():
    slowing = 1 + 0.3 * np.minimum(np.arange(MOST), 150) / 150
    state, length = decided(noisy(slowing, 0.005, np.random.default_rng(0)))
    assert length > 150
    assert state.step_seconds == pytest.approx(0.0039, rel=0.01)


@pytest.mark.parametrize("noise", NOISES)
def test_a_drift_that_is_smaller_than_the_window_allows_is_steady(noise: float):
    drifting = 1 + 0.002 * np.arange(MOST) / WINDOW
    assert all(decided(noisy(drifting, noise, np.random.default_rng(seed))) for seed in range(10))


def test_noise_that_lasts_is_waited_for_and_then_allowed():
    """Another process on the same core: 10% that come and go within seconds."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal(MOST)
        for index in range(1, MOST):
            noise[index] = 0.95 * noise[index - 1] + np.sqrt(1 - 0.95**2) * noise[index]
        state, length = decided(0.003 * np.exp(0.1 * noise))
        assert length >= 3 * WINDOW
        assert state.noise > 0.03


def test_outliers_are_no_warmup():
    rng = np.random.default_rng(3)
    trace = noisy(np.ones(MOST), 0.005, rng)
    trace[rng.random(MOST) < 0.05] *= 3
    state, length = decided(trace)
    assert state.since <= 10
    assert length <= 2 * WINDOW


def test_too_few_sub_windows_say_nothing():
    assert steady(np.full(50, 0.003), STEADINESS, WINDOW) is None
    assert steady(np.full(51, 0.003), STEADINESS, WINDOW) == Steady(0, pytest.approx(0.003), 0.0)


def test_few_slow_steps_are_enough():
    """A step that takes longer than the window is long: twelve of them."""
    assert steady(np.full(11, 8.0), STEADINESS, 1) is None
    assert steady(np.array([30.0, *[8.0] * 12]), STEADINESS, 1).since == 1
