"""keras.optimizers.schedules: the learning-rate schedules as data."""

from __future__ import annotations

from harness.keras.refusals import namespace
from harness.spec.schedules import SCHEDULES, Schedule

_BY_HAND = "A schedule of one's own is code, and the plan must be data; PiecewiseConstantDecay can follow any curve."

__getattr__, __dir__ = namespace(
    "keras.optimizers.schedules",
    {**SCHEDULES.classes, "LearningRateSchedule": Schedule, "deserialize": SCHEDULES.parse}, ("serialize",),
    hint=_BY_HAND,
)
