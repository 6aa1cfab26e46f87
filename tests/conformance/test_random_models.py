"""Random models and recipes: both backends end alike, with the same losses, weights, slots, histories and metrics.

The suite plays the special ones and the first ALWAYS of NUMBERS; the others are sweeps. HARNESS_RANDOM_MODELS=500 plays
those numbered 0 to 499 instead (about four seconds each), HARNESS_RANDOM_MODELS=500-700 those from 500 on.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.spec.losses import LOSSES
from harness.spec.optimizers import OPTIMIZERS
from harness.spec.recipe import Recipe
from harness.spec.schedules import SCHEDULES
from tests.conformance.random_layers import OTHERS, UNARY
from tests.conformance.random_models import NO_CHECKPOINT, case
from tests.conformance.special_models import SPECIAL
from tests.forked import run_module

TOLERANCE = 1e-9
# How much farther than one unit in the last place of the first weights another order of summation may lead.
ROUNDINGS = 1000
# Of the first 60, those that are quickest to build.
NUMBERS = [
    3, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 22, 23, 24, 25, 27,
    33, 34, 35, 36, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 54, 59,
]

ALWAYS = 9

Arrays = dict[str, np.ndarray]


def numbers() -> list[Any]:
    """What is played, as parameters of a test: names of special ones, and numbers as text."""
    asked = os.environ.get("HARNESS_RANDOM_MODELS")
    if not asked:
        more = [pytest.param(str(number), marks=pytest.mark.sweep) for number in NUMBERS[ALWAYS:]]
        return [*SPECIAL, *map(str, NUMBERS[:ALWAYS]), *more]
    first, _, last = asked.rpartition("-")
    return [str(number) for number in range(int(first or 0), int(last))]


class Played:
    """What a process left: how each case ended, and its arrays."""

    def __init__(self, path: Path) -> None:
        arrays = dict(np.load(path))
        self.endings: dict[str, str] = json.loads(str(arrays.pop("facts")))["endings"]
        self.arrays: dict[str, Arrays] = {number: {} for number in self.endings}
        for name, array in arrays.items():
            number, _, what = name.partition("|")
            self.arrays[number][what] = array


def play(backend: str, names: list[str], folder: Path, *more: str) -> Played:
    cases = json.dumps([int(name) if name.isdecimal() else name for name in names])
    run_module(backend, "tests.conformance.random_models", backend, cases, folder, *more)
    return Played(folder / f"{'_'.join([backend, *more])}.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("random_models")


@pytest.fixture(scope="module")
def played(folder, chosen) -> tuple[Played, Played]:
    """TensorFlow's, then PyTorch's."""
    return play("tensorflow", chosen("number"), folder), play("pytorch", chosen("number"), folder)


def distances(expected: Arrays, found: Arrays) -> dict[str, float]:
    """Of each array the largest distance, relative to its largest value."""
    assert set(expected) == set(found)
    far = {}
    for what, array in expected.items():
        assert array.shape == found[what].shape, what
        both = np.isnan(array) & np.isnan(found[what])
        apart = np.where(both, 0.0, np.abs(array - found[what]))
        far[what] = float(apart.max(initial=0.0) / max(np.nan_to_num(np.abs(array)).max(initial=0.0), 1e-3))
    return far


def test_every_layer_loss_optimizer_and_schedule_is_drawn():
    # WarmupDecay is none of Keras's (tests/plan/test_schedule.py): drawing it would make other models of all numbers.
    waiting = {*UNARY, *OTHERS, *LOSSES.classes, *OPTIMIZERS.classes, *SCHEDULES.classes} - {"WarmupDecay"}
    for number in range(1500):
        drawn = case(number)
        waiting -= {type(layer).__name__ for layer in drawn.spec.layers.values()} | names_in(drawn.recipe)
        if not waiting:
            return
    pytest.fail(f"never drawn: {sorted(waiting)}")


def names_in(recipe: dict) -> set[str]:
    """The canonical names of all losses, optimizers and schedules of a recipe."""
    plan = json.loads(json.dumps({key: item for key, item in recipe.items() if key != "class_weight"}, default=str))
    resolved = Recipe.parse(plan)
    optimizers = [phase.optimizer for phase in resolved.resolved_phases()]
    losses = resolved.loss if isinstance(resolved.loss, tuple) else [*resolved.loss.values()] \
        if isinstance(resolved.loss, dict) else [resolved.loss]
    found = [*optimizers, *(item.learning_rate for item in optimizers), *losses]
    return {type(item).__name__ for item in found}


def test_a_case_follows_from_its_number():
    first, second = case(7), case(7)
    assert first.spec.digest == second.spec.digest
    assert repr((first.recipe, first.execution)) == repr((second.recipe, second.execution))
    assert all(np.array_equal(first.arrays["x"][name], second.arrays["x"][name]) for name in first.arrays["x"])
    assert case(8).spec.digest != first.spec.digest


@pytest.mark.frameworks
@pytest.mark.xdist_group("random_models")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", numbers())
def test_the_same_training(played, folder, number):
    tensorflow, pytorch = played
    assert not tensorflow.endings[number].startswith("crash"), tensorflow.endings[number]
    if tensorflow.endings[number] != "trained":
        # Refused, or broken off, in the same words.
        alike = (tensorflow.endings[number], f"SpecError: {NO_CHECKPOINT}")
        assert pytorch.endings[number] in alike, tensorflow.endings[number]
        return
    assert pytorch.endings[number] == "trained"
    far = {what: distance for what, distance in distances(tensorflow.arrays[number], pytorch.arrays[number]).items()
           if not distance <= TOLERANCE}
    if far:
        # Is it rounding that grew? Then weights moved by one unit in the last place lead as far.
        moved = play("tensorflow", [number], folder, "moved")
        control = distances(tensorflow.arrays[number], moved.arrays[number])
        real = {what: distance for what, distance in far.items() if not distance <= ROUNDINGS * control[what]}
        assert not real, real


@pytest.mark.frameworks
@pytest.mark.xdist_group("random_models")
def test_most_cases_are_trained(played):
    endings = list(played[0].endings.values())
    assert endings.count("trained") >= 0.8 * len(endings)
