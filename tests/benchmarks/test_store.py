"""The stores that benchmarks/store.py makes are what a run would have left."""

from __future__ import annotations

from benchmarks.made_up_store import experiment_file, make_store
from harness.cli.main import main
from harness.records.planned import read_planned
from harness.report.results import Results
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.spec.experiment import read_experiment


def test_a_made_up_store_is_finished_and_judged(tmp_path, capsys):
    file, store = experiment_file(tmp_path, 40, 5), tmp_path / "results"
    assert make_store(file, store, blocks=6) == 40
    results = Results.open(store)
    assert {record.id for record in results.records()} == set(read_planned(store))
    assert results.store.notes == []
    assert all(record.losses.size and record.weights for record in results.records())
    told = []
    execute(read_experiment(file), check(read_experiment(file)), store, told.append,
            Settings(function="none:none", lock=tmp_path / "lock"))
    assert [(event["event"], event["cells"], event["skipped"]) for event in told] == [("plan", 40, 40)]
    verdict = results.which()
    assert len(verdict.comparisons) == 4
    assert verdict.comparisons[0].primary.winner == "pytorch"
    assert main(["status", str(store)]) == 0
    assert "40 done, 0 failed, 0 waiting" in capsys.readouterr().out
