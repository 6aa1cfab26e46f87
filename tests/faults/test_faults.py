"""The certificate catches planted faults and points at them. Every fault is a sweep: a run takes a part of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from harness.certify.certificate import Finding
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from tests.faults.hosts import HOSTS
from tests.faults.measure import Bench, open_bench
from tests.faults.mutant import Expected
from tests.faults.mutants import FAMILIES, MUTANTS
from tests.faults.outcome import Outcome, summary, table

# Faults that no rung before R4 catches, with the reason. A rung that catches one fails its test.
NOT_CAUGHT: dict[str, str] = {}
# Faults that are caught, but whose place or hyperparameter the finding does not name, with the reason.
NOT_LOCALISED = {
    "stale gradients": "the second step's update is named, not what was left in the gradients of the first",
    "momentum with the rate outside": "the step is named, and a step that is played by itself agrees: the slots do",
}

# What is tried whenever the tests run: one fault in each framework.
ALWAYS = ("square weight transposed", "keras: leaky relu slope 0.2")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


def parts() -> list[object]:
    return [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.sweep) for name in MUTANTS]


@pytest.mark.frameworks
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", parts())
def test_a_planted_fault_is_caught_and_found(name: str, bench: Bench) -> None:
    outcome = bench.outcome(MUTANTS[name], whole_run=False)
    found = f"{outcome.caught}: {outcome.place} ({outcome.what}; {outcome.cause}); {outcome.reason}"
    assert (outcome.caught is not None) == (name not in NOT_CAUGHT), found
    if outcome.caught is not None:
        assert outcome.localised == (name not in NOT_LOCALISED), f"expected {outcome.expected}, found {found}"


@pytest.mark.frameworks
@pytest.mark.sweep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_without_a_fault_passes_every_rung(host: str, bench: Bench) -> None:
    certificate = bench.certified(host)
    assert certificate.finding is None, certificate.finding
    assert all(rung.status == "passed" for phase in certificate.phases for rung in phase.rungs), certificate.phases


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_host_is_a_model_with_its_recipe(host: object) -> None:
    ModelSpec.from_data(host.model)  # type: ignore[attr-defined]
    Recipe.parse(host.whole_recipe())  # type: ignore[attr-defined]


def test_names_are_unique_and_both_frameworks_have_faults() -> None:
    assert len(MUTANTS) == sum(len(family.MUTANTS) for family in FAMILIES) >= 60
    backends = [mutant.backend for mutant in MUTANTS.values()]
    assert backends.count("tensorflow") >= 15
    assert set(backends) == {"tensorflow", "pytorch"}
    assert set(NOT_CAUGHT) | set(NOT_LOCALISED) <= set(MUTANTS)


def test_what_is_expected_is_of_the_host() -> None:
    for mutant in MUTANTS.values():
        host = ModelSpec.from_data(HOSTS[mutant.host].model)
        wanted, weights = mutant.expected.layer, [weight.name for weight in host.weights]
        assert wanted is None or any(re.fullmatch(wanted, layer) for layer in host.layers), mutant.name
        wanted = mutant.expected.weight
        assert wanted is None or any(re.fullmatch(wanted, weight) for weight in weights), mutant.name


def finding(**values: object) -> Finding:
    given = {"rung": "R1", "phase": "pretrain", "step": 0, "part": "forward", "layer": "norm", "weight": None,
             "what": "output norm", "difference": 0.1, "limit": 1e-10, **values}
    return Finding(**given)  # type: ignore[arg-type]


def test_an_expectation_is_met_by_its_own_place_alone() -> None:
    expected = Expected(("forward", "inference"), "norm")
    assert expected.met_by(finding())
    assert not expected.met_by(finding(layer="norm_2"))
    assert not expected.met_by(finding(layer=None))
    assert not expected.met_by(finding(part="update"))
    named = Expected(("update",), says="epsilon")
    assert named.met_by(finding(part="update", cause="epsilon is 1e-8"))
    # The suspects list all arguments, whichever is at fault.
    assert not named.met_by(finding(part="update", suspects=("epsilon: 1e-07",)))


def outcome(name: str, **values: object) -> Outcome:
    given = {"host": "mlp", "backend": "pytorch", "expected": "forward", "caught": "R1", "place": "step 1", "what": "x",
             "difference": 1.0, "cause": None, "localised": True, "reason": None, "seconds": 1.0, **values}
    return Outcome(name, **given)  # type: ignore[arg-type]


def test_a_table_counts_what_was_missed() -> None:
    rows = [outcome("a", final_loss=0.02, outputs=1e-5, effect=0.1), outcome("b", caught=None, localised=False),
            outcome("c", localised=False, caught="R3", final_loss=0.001, outputs=0.5, effect=0.1)]
    counts = summary(rows)
    assert (counts["caught"], counts["localised"], counts["whole runs"]) == (2, 1, 2)
    assert (counts["caught by final loss"], counts["caught by outputs"], counts["caught by either"]) == (1, 1, 2)
    page = table(rows)
    assert "2 of 3 (66.7%)" in page
    assert "- b: expected forward" in page
    assert "- c: expected forward" in page
