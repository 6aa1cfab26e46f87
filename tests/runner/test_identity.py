"""Ids, settings and certificate keys worked out once for many cells are those of each cell by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.certificates import certificate_key
from harness.records.settings_key import setting_key
from harness.runner.cell import opening
from harness.runner.identity import certificate_of, setting_of, shared
from harness.runner.matrix import RESULTS_VERSION, Cell, cells, checkpoint_hashes, content_hash
from harness.spec.experiment import Experiment
from harness.spec.explicit import explicit

GIVEN = {
    "model": "mlp_64_64", "data": {"source": {"csv": "é \"1\".csv", "target": "y"}},
    "recipe": {"optimizer": {"SGD": {"learning_rate": 0.1}},
               "phases": [{"name": "pretrain"}, {"name": "fine.tune", "epochs": 2, "start_from": "pytorch"}]},
    "matrix": {"batch_size": [8, 16], "recipe.optimizer.learning_rate": [0.1, 0.01], "seed": [0, 3],
               "tier": ["tuned", "idiomatic"]},
}


@pytest.fixture(scope="module")
def found() -> list[Cell]:
    return cells(Experiment.parse(GIVEN), with_data=False)


def plain_id(cell: Cell) -> str:
    """The id from the cell's content, written out in full."""
    return content_hash({
        "results_version": RESULTS_VERSION, "model": cell.model.to_data(), "data": explicit(cell.data),
        "identity": dict(cell.identity), "execution": explicit(cell.execution), "seed": cell.seed,
        "checkpoints": checkpoint_hashes(cell.recipe, cell.folder), "backend": cell.backend,
        "recipe": explicit(cell.recipe)})


def test_an_id_is_the_hash_of_the_whole_content(found):
    assert len({cell.id for cell in found}) == len(found) == 32
    for cell in found:
        assert cell.id == plain_id(cell)
        assert cell.content["seed"] == cell.seed
        assert Cell.from_data(cell.to_data()).id == cell.id


def test_a_changed_cell_has_its_own_id(found):
    first = found[0]
    changed = replace(first, recipe=first.recipe.model_copy(update={"batch_size": 64}))
    assert changed.id == plain_id(changed)
    assert changed.id != first.id


def test_settings_and_certificates_are_those_of_the_records(found):
    for cell in found:
        recorded = opening(cell, "")["cell"]
        assert setting_of(cell) == setting_key(recorded)
        assert certificate_of(cell) == certificate_key(recorded)


def test_the_form_leaves_out_rates_and_nothing_else(found):
    forms = {shared(cell).form for cell in found}
    assert len(forms) == 4  # two batch sizes, two tiers; the two rates are alike
    schedule = Experiment.parse({**GIVEN, "matrix": {"seed": [0]}, "recipe": {"optimizer": {"SGD": {
        "learning_rate": {"ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.9}}}}}})
    assert "0.9" in shared(cells(schedule, with_data=False)[0]).form[2]


def test_cells_of_one_combination_share_their_parts(found):
    first, second = found[0], found[1]
    assert first.data is second.data
    assert first.execution is second.execution
    assert {id(cell.data) for cell in found} == {id(first.data)}
    assert len({id(cell.recipe) for cell in found}) == 4
