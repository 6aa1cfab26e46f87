"""Attribution from final metrics that were made up: what is planted must come out."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.explanation import KERAS, TORCH, attribute, minus, plus

NAMES = ("a", "b", "c")
EFFECTS = {"a": 0.10, "b": -0.02, "c": 0.0}


def finals(seeds=5, noise=0.0, interaction=0.0, framework=0.0, where="pytorch"):
    """M = 0.7 + seed + effects of what is switched + interaction of a and b; noise for every training."""
    chance = np.random.default_rng(1)
    found = {}

    def put(variant, switches, backends):
        for backend in backends:
            found[(variant, backend)] = {
                seed: 0.7 + 0.05 * seed + sum(EFFECTS[name] for name in switches)
                + interaction * ({"a", "b"} <= set(switches)) + framework * (backend == "pytorch")
                + noise * chance.normal() for seed in range(seeds)}

    put(KERAS, (), ("tensorflow", "pytorch"))
    put(TORCH, NAMES, ("tensorflow", "pytorch"))
    for name in NAMES:
        put(plus(name), (name,), (where,))
        put(minus(name), tuple(other for other in NAMES if other != name), (where,))
    return found


@pytest.mark.parametrize("where", ["tensorflow", "pytorch"])
def test_parts_that_do_not_act_on_each_other_sum_up(where):
    found = attribute(finals(framework=0.03, where=where), NAMES, where, "test_accuracy")
    assert found.gap.value == pytest.approx(0.11)
    parts = {part.name: part for part in found.defaults}
    for name, effect in EFFECTS.items():
        assert parts[name].from_keras.value == pytest.approx(effect)
        assert parts[name].from_torch.value == pytest.approx(effect)
    assert found.framework.mean.value == pytest.approx(0.03)
    assert found.sum.mean.value == pytest.approx(0.11)
    assert found.remainder.mean.value == pytest.approx(0.0, abs=1e-12)
    assert found.together.value == pytest.approx(0.08)
    assert [part.name for part in found.defaults] == ["a", "b", "c"]  # the largest first
    assert parts["a"].share == pytest.approx(0.10 / 0.11)
    assert found.levels["keras/tensorflow"].value == pytest.approx(0.8)


def test_what_two_defaults_do_together_is_the_remainder():
    found = attribute(finals(interaction=0.04), NAMES, "pytorch", "loss")
    parts = {part.name: part for part in found.defaults}
    assert parts["a"].from_keras.value == pytest.approx(0.10)
    assert parts["a"].from_torch.value == pytest.approx(0.14)
    assert parts["a"].mean.value == pytest.approx(0.12)
    assert found.remainder.from_keras.value == pytest.approx(0.04)
    assert found.remainder.from_torch.value == pytest.approx(-0.04)
    assert found.remainder.mean.value == pytest.approx(0.0, abs=1e-12)  # of two, the mean of both sides has it all


def test_intervals_tell_effects_from_noise():
    found = attribute(finals(noise=0.005), NAMES, "pytorch", "loss")
    clear = {part.name: part.clear for part in found.defaults}
    assert clear["a"]
    assert not clear["c"]
    assert found.gap.n == 5
    assert found.gap.low < 0.08 < found.gap.high
    # The seeds differ by ten times the noise: only the pairing makes the interval this narrow.
    assert found.gap.high - found.gap.low < 0.03


def test_no_gap_no_share():
    values = finals(noise=0.01)
    same = {key: (values[key] if key[0] != TORCH else {seed: value - 0.08 for seed, value in values[key].items()})
            for key in values}
    found = attribute(same, NAMES, "pytorch", "loss")
    assert all(part.share is None for part in found.defaults)


def test_one_seed_has_no_interval():
    found = attribute(finals(seeds=1), NAMES, "pytorch", "loss")
    assert found.gap.value == pytest.approx(0.08)
    assert found.gap.low is None
    assert not found.defaults[0].clear


def test_seeds_that_failed_are_left_out_where_they_are_needed():
    values = finals()
    del values[(plus("a"), "pytorch")][2]
    values[(minus("b"), "pytorch")] = {}
    found = attribute(values, NAMES, "pytorch", "loss")
    parts = {part.name: part for part in found.defaults}
    assert parts["a"].from_keras.n == 4
    assert parts["a"].from_torch.n == 5
    assert parts["b"].from_torch is None
    assert parts["b"].mean is None
    assert found.sum.from_torch is None
    assert found.sum.from_keras.n == 4
    assert found.gap.n == 5
    assert found.to_data()["seeds"] == (0, 1, 2, 3, 4)
