"""Jobs for workers: trajectories of plans that are not as they should be, and of one plan twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.runner.certifying import setup
from harness.runner.trajectory import VARIANTS, Player, play


def late_learning_rate(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """As harness.runner.trajectory:trajectory_job; the learning rate is a hundredth too high from step 15 on."""
    return play({**arguments, "variants": []}, wrong)


def wrong(arguments: dict[str, Any]) -> Any:
    """What certifying.setup gives, with that learning rate."""
    made = setup(arguments)
    rates = made.plan.tape.learning_rates.copy()
    rates[14:] *= 1.01
    return replace(made, plan=replace(made.plan, tape=replace(made.plan.tape, learning_rates=rates)))


def replayed(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Plays some variants, and then the base once more: {"farthest": its largest distance from the first time,
    "moved": how far the optimizer moved the weights in all}."""
    player = Player(arguments, setup)
    player.play_base()
    for variant in (VARIANTS[0], VARIANTS[-1]):
        player.play_variant(variant)
    again = player._distance(player.session, player.first, 0)
    base = player.trajectory
    return {"farthest": float(max(again.squares.max(), np.abs(again.losses - base.losses).max())),
            "moved": float(sum(np.abs(array[-1] - array[0]).sum() for array in base.weights))}
