"""Gradient accumulation as an axis: settings of their own, and a rate that counts every example that was played."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.settings import settings
from harness.measure.window import Player, play_window
from harness.records.record import Record
from harness.records.settings_key import setting_key
from harness.runner.cell import opening
from harness.runner.check import check
from harness.runner.timing import subject_of
from harness.spec.experiment import Experiment
from tests.measure.fakes import Clock, Session
from tests.runner.test_timing import NoFramework

AXIS = "recipe.optimizer.Adam.gradient_accumulation_steps"


@pytest.fixture
def cells(tmp_path):
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=chance.normal(size=(120, 8)).astype("float32"), y=np.arange(120) % 10)
    return check(Experiment.parse({
        "model": "mlp_64_64", "data": "data.npz", "matrix": {AXIS: [None, 4]},
        "recipe": {"batch_size": 16, "optimizer": {"Adam": {"learning_rate": 0.001}}}}, folder=tmp_path))


def test_every_value_is_a_setting_of_its_own(cells):
    assert [(cell.backend, cell.recipe.optimizer.gradient_accumulation_steps) for cell in cells] == [
        ("tensorflow", None), ("pytorch", None), ("tensorflow", 4), ("pytorch", 4)]
    data = [opening(cell, "")["cell"] for cell in cells]
    assert len({setting_key(cell) for cell in data}) == 2
    records = [Record({"id": str(index), "status": "done", "cell": cell, "phases": []})
               for index, cell in enumerate(data)]
    titles = [setting.title for setting in settings(records)]
    assert [f"{AXIS} {value}" in title for value, title in zip((4, "null"), titles, strict=True)] == [True, True]
    assert {setting.factors[AXIS] for setting in settings(records)} == {"null", "4"}


def test_the_rate_is_of_examples_not_of_updates(cells):
    """Every step plays a batch, whether its gradient is only kept or also applied: equal steps, equal rates."""
    rates = []
    for cell in (cells[0], cells[2]):
        subject = subject_of(cell, NoFramework())
        assert subject.plan.tape.indices.shape[1] == 16
        clock = Clock()
        window = play_window(Player(Session(subject.plan, clock, 0.01), subject.plan), 24, clock)
        assert window.samples == int(np.resize(subject.plan.tape.sizes, 24).sum())
        rates.append(window.samples / window.seconds)
        optimizer = subject.plan.optimizer
        assert optimizer.updates(24) == 24 // (optimizer.gradient_accumulation_steps or 1)
    assert rates[0] == pytest.approx(rates[1])
