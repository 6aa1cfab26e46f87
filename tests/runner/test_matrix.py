"""From an experiment to its cells: which there are, in which order, under which ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.runner.dependencies import needs, ordered
from harness.runner.matrix import Cell, cells
from harness.spec.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
PHASES = [{"name": "pretrain", "epochs": 1}, {"name": "finetune", "epochs": 1}]


def experiment(**keys) -> Experiment:
    return Experiment.parse({"model": str(MODELS / "mlp.py"), **keys}, folder=ROOT)


def test_one_cell_for_every_combination():
    found = cells(experiment(matrix={"batch_size": [16, 32], "tier": ["tuned", "idiomatic"], "seed": [0, 1]}))
    assert len(found) == 16
    assert len({cell.id for cell in found}) == 16
    assert {(cell.recipe.batch_size, cell.execution.tier) for cell in found} == {
        (16, "tuned"), (16, "idiomatic"), (32, "tuned"), (32, "idiomatic")
    }


def test_backends_alternate_over_the_seeds():
    found = cells(experiment(matrix={"batch_size": [16, 32], "seed": [0, 1, 2]}))
    order = "".join(cell.backend[0] for cell in found)
    assert order == "tpptpt".replace("ptpt", "pttp") * 2
    assert [cell.seed for cell in found] == [0, 0, 1, 1, 2, 2] * 2
    assert [cell.recipe.batch_size for cell in found] == [16] * 6 + [32] * 6


def test_axes_reach_everywhere():
    (cell,) = cells(experiment(
        recipe={"optimizer": "adam", "phases": PHASES}, backend="pytorch",
        matrix={"recipe.optimizer.learning_rate": [0.5], "recipe.phases.finetune.start_from": ["pytorch"],
                "recipe.phases.0.epochs": [7], "execution.compile": ["none"], "data.split.seed": [3],
                "precision": ["float64"]},
    ))
    assert cell.recipe.optimizer.learning_rate == 0.5
    assert cell.recipe.phases[1].start_from == "pytorch"
    assert cell.recipe.phases[0].epochs == 7
    assert cell.execution.compile == "none"
    assert cell.execution.precision == "float64"
    assert cell.data.split.seed == 3
    assert cell.labels["precision"] == "float64"


def test_epochs_as_an_axis_are_every_phases():
    found = cells(experiment(recipe={"phases": PHASES}, backend="pytorch", matrix={"epochs": [2, 3]}))
    assert [[phase.epochs for phase in cell.recipe.resolved_phases()] for cell in found] == [[2, 2], [3, 3]]


def test_variants_change_the_base_and_are_a_label():
    found = cells(experiment(
        recipe={"batch_size": 8, "phases": PHASES}, backend="pytorch",
        variants=[{"name": "a", "recipe": {"batch_size": 4}}, {"name": "b", "execution": {"tier": "idiomatic"}}],
    ))
    assert [(c.labels["variant"], c.recipe.batch_size, c.execution.tier) for c in found] == [
        ("a", 4, "tuned"), ("b", 8, "idiomatic")
    ]
    assert [len(cell.recipe.phases) for cell in found] == [2, 2]


def test_exclude_leaves_out_what_matches_in_all_its_keys():
    found = cells(experiment(
        matrix={"batch_size": [16, 32], "seed": [0, 1]},
        exclude=[{"batch_size": 32, "backend": "pytorch"}, {"seed": [1], "backend": "tensorflow"}],
    ))
    assert {(cell.recipe.batch_size, cell.backend, cell.seed) for cell in found} == {
        (16, "tensorflow", 0), (32, "tensorflow", 0), (16, "pytorch", 0), (16, "pytorch", 1)
    }


def test_models_take_shape_and_classes_from_the_data():
    (cell,) = cells(experiment(backend="pytorch", data={"source": "wine"}))
    assert cell.model.inputs[0].shape == (None, 13)
    assert cell.model.tensors[cell.model.outputs[0]] == (None, 3)


def test_a_spec_of_ones_own_is_taken_as_it_is_written():
    inline = {"name": "own", "inputs": [{"name": "image", "shape": [28, 28]}],
              "layers": [{"Flatten": {}}, {"Dense": {"units": 5, "name": "out"}}]}
    (cell,) = cells(Experiment.parse({"model": inline, "backend": "pytorch"}, folder=ROOT))
    assert cell.model.inputs[0].shape == (None, 28, 28)
    assert cell.model.tensors["out"] == (None, 5)


def test_ids_depend_on_content_and_not_on_names():
    def ids(**keys):
        return [cell.id for cell in cells(experiment(backend="pytorch", **keys))]

    plain = ids()
    assert ids(name="other", question="Why?", verdict={"margin": 0.1}) == plain
    assert ids(matrix={"tier": ["tuned"], "batch_size": [32]}) == plain
    assert ids(matrix={"recipe.optimizer": [{"Adam": {"learning_rate": 0.001}}]}) == plain
    for change in ({"recipe": {"batch_size": 33}}, {"seed": 1}, {"execution": {"threads": 2}}, {"data": "wine"},
                   {"model": {str(MODELS / "mlp.py"): {"num_classes": 11}}}):
        assert ids(**{"matrix": {}, **change}) != plain


def test_ids_are_the_same_in_another_process():
    program = (
        "import json, sys; from pathlib import Path\n"
        "from harness.spec.experiment import Experiment; from harness.runner.matrix import cells\n"
        "found = cells(Experiment.parse(json.loads(sys.argv[1]), folder=Path(sys.argv[2])))\n"
        "print(json.dumps([cell.id for cell in found]))"
    )
    given = {"model": str(MODELS / "mlp.py"), "matrix": {"seed": [0, 1], "batch_size": [16, 32]}}
    output = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given), str(ROOT)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "123"},
    ).stdout
    assert json.loads(output) == [cell.id for cell in cells(Experiment.parse(given, folder=ROOT))]


def test_a_cell_survives_json():
    for cell in cells(experiment(recipe={"phases": PHASES, "metrics": ["acc", {"TopKCategoricalAccuracy": {"k": 2}}]})):
        again = Cell.from_data(json.loads(json.dumps(cell.to_data())))
        assert again.id == cell.id
        assert again.recipe == cell.recipe
        assert again.model.digest == cell.model.digest


def test_a_changed_file_is_another_cell(tmp_path):
    def write(rows):
        (tmp_path / "t.csv").write_text("a,b,label\n" + "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(rows)))

    def ids():
        given = {"model": {str(MODELS / "mlp.py"): {}}, "data": {"csv": "t.csv", "target": "label"},
                 "backend": "pytorch"}
        return [cell.id for cell in cells(Experiment.parse(given, folder=tmp_path))]

    write(40)
    first = ids()
    assert ids() == first
    write(41)
    assert ids() != first


def test_the_twin_is_run_first():
    phases = [PHASES[0], {**PHASES[1], "start_from": "pytorch"}]
    found = ordered(cells(experiment(recipe={"phases": phases}, seed=[0, 1])))
    order = [(cell.backend, cell.seed) for cell, _ in found]
    for seed in (0, 1):
        assert order.index(("pytorch", seed)) < order.index(("tensorflow", seed))
    for cell, needed in found:
        assert [(need.backend, need.after, need.twin.seed) for need in needed] == (
            [("pytorch", "pretrain", cell.seed)] if cell.backend == "tensorflow" else []
        )


def test_a_twin_need_only_agree_up_to_the_phase():
    matrix = {"recipe.phases.1.start_from": ["tensorflow", "pytorch"]}
    found = cells(experiment(recipe={"phases": PHASES}, matrix=matrix))
    assert len(ordered(found)) == 4
    twins = {(cell.backend, cell.recipe.phases[1].start_from): [need.twin.backend for need in needs(cell, found)]
             for cell in found}
    assert twins == {("tensorflow", "tensorflow"): [], ("tensorflow", "pytorch"): ["pytorch"],
                     ("pytorch", "tensorflow"): ["tensorflow"], ("pytorch", "pytorch"): []}


@pytest.mark.parametrize(("keys", "message"), [
    ({"backend": "pytorch", "recipe": {"phases": [PHASES[0], {**PHASES[1], "start_from": "tensorflow"}]}},
     "not part of the matrix"),
    ({"recipe": {"phases": [PHASES[0], {**PHASES[1], "start_from": "tensorflow"},
                            {"name": "third", "start_from": "pytorch"}]}}, "wait for the other"),
])
def test_a_twin_that_cannot_be(keys, message):
    with pytest.raises(SpecError, match=message):
        ordered(cells(experiment(**keys)))
