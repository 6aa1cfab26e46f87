"""A certificate goes through JSON unchanged, and reads as a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.certify import wording
from harness.certify.certificate import (
    DIFFERENT,
    NOT_CERTIFIED,
    SAME_TO_ROUNDING,
    Certificate,
    Curve,
    Difference,
    Finding,
    Phase,
    Rung,
)
from harness.records import strict_json
from tests.certify.made_up import certificate, curve

FLOATS = st.floats()
# Texts that look like the numbers of strict JSON must stay text.
TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["NaN", "Infinity", "-Infinity", "", "é\n"]))
MAYBE = st.none() | FLOATS
LINES = st.lists(FLOATS, max_size=3).map(tuple)
DIFFERENCES = st.builds(Difference, TEXT, FLOATS, FLOATS, MAYBE)
RUNG = st.builds(Rung, TEXT, TEXT, st.integers(0, 9), st.none() | DIFFERENCES,
                 st.lists(DIFFERENCES, max_size=2).map(tuple), st.none() | TEXT, st.none() | st.floats(0, 9),
                 st.just({}))
CURVES = st.builds(Curve, TEXT, TEXT, TEXT, st.lists(st.integers(0, 99), max_size=3).map(tuple), LINES,
                   st.dictionaries(TEXT, LINES, max_size=2), LINES, LINES, st.none() | st.integers(0, 99))
PHASES = st.builds(Phase, TEXT, st.lists(RUNG, max_size=2).map(tuple), st.lists(CURVES, max_size=2).map(tuple),
                   st.lists(TEXT, max_size=2).map(tuple))
FINDINGS = st.builds(Finding, TEXT, TEXT, st.integers(0, 9), TEXT, st.none() | TEXT, st.none() | TEXT, TEXT, FLOATS,
                     FLOATS, st.none() | TEXT, st.none() | TEXT, st.lists(TEXT, max_size=2).map(tuple))
CERTIFICATES = st.builds(
    Certificate, st.sampled_from([SAME_TO_ROUNDING, DIFFERENT, NOT_CERTIFIED]), st.just(("tensorflow", "pytorch")),
    st.just({"model": "mlp"}), st.lists(PHASES, max_size=2).map(tuple), st.none() | FINDINGS, st.none() | TEXT,
    st.just({}), st.dictionaries(TEXT, FLOATS, max_size=2), st.lists(TEXT, max_size=2).map(tuple), TEXT)


@settings(max_examples=150, deadline=None)
@given(CERTIFICATES)
def test_it_goes_through_json_unchanged(made):
    text = strict_json.dumps(made.to_data())
    back = Certificate.from_data(strict_json.loads(text))
    assert repr(back) == repr(made)  # NaN is NaN there
    assert strict_json.dumps(back.to_data()) == text
    assert all(isinstance(text, str) for phase in made.phases for row in wording.ladder(phase) for text in row)


def test_keys_of_a_later_version_are_passed_over_and_missing_ones_are_not():
    data = certificate().to_data()
    assert Certificate.from_data({**data, "made_at": "today"}) == Certificate.from_data(data)
    with pytest.raises((KeyError, TypeError)):
        Certificate.from_data({name: value for name, value in data.items() if name != "phases"})


@pytest.mark.parametrize(("label", "sentence", "certified"), [
    (SAME_TO_ROUNDING, "same to rounding", True),
    (DIFFERENT, "different: step 1, buffer, bn, moving_variance: 0.003 where rounding allows 2e-07 (the running "
                "variance is the unbiased one here)", False),
    (NOT_CERTIFIED, "not certified: R3, R4 were not run", False),
])
def test_sentences(label, sentence, certified):
    made = certificate(label)
    assert (made.sentence, made.certified) == (sentence, certified)
    assert (made.to_data()["sentence"], made.to_data()["certified"]) == (sentence, certified)


def test_words():
    made = certificate(DIFFERENT)
    rows = {row[0]: row for row in wording.ladder(made.phases[0], "not run: 3 of 5 paired seeds")}
    assert rows["R1"][2:5] == ("FAILED", "12", "0.003 (limit 2e-07, control 1e-12): change bn/moving_variance")
    assert rows["R2"][4] == "a rung below it failed"
    assert rows["R5"][2:5] == ("not run", "-", "3 of 5 paired seeds")
    assert wording.suspects(made.finding, made.backends) == (
        ("argument", "TensorFlow", "PyTorch"), [("momentum", "0.99", "0.9"), ("epsilon", "0.001", "1e-05")])
    assert wording.cost(made) == "Cost: 12.5 s, as much as 3,125 training steps of 4 ms."
    assert [line[:25] for line in wording.horizons(certificate().phases[0])] == [
        "T* in float64: beyond the", "T* in float32: step 40. F"]
    assert "beyond the 50 steps" in wording.horizon(curve())
    assert "not measured" in wording.horizon(curve(seeds=()))
    header, table = wording.layers(certificate().phases[0])
    assert header == ("layer", "type", "output", "input gradient", "weight gradient")
    assert table[1] == ("logits", "Dense", "3e-16", "-", "4e-16")
    assert wording.layers(made.phases[0]) is None


@pytest.mark.parametrize("program", [
    "import harness; f = harness.certify",
    "from harness import certify as f",
    "import harness.certify.wording; import harness; f = harness.certify",
    "import harness; f = harness.certify; import harness.certify.certificate; assert harness.certify is f",
    "from harness.certify.certificate import Certificate; from harness import certify as f",
    "import harness.certify as f",
])
def test_the_public_function_and_the_room_are_one(program):
    """In a fresh interpreter: whatever is imported first, `harness.certify` can be called and has its modules."""
    check = (f"{program}\nimport sys, types, harness\n"
             "assert not {'numpy', 'tensorflow', 'torch', 'pydantic'} & set(sys.modules), 'loaded too much'\n"
             "stand_in = types.ModuleType('harness.runner.certify')\n"
             "stand_in.certify = lambda *arguments, **options: (arguments, options)\n"
             "sys.modules['harness.runner.certify'] = stand_in\n"
             "assert f('mlp', seed=1) == (('mlp',), {'seed': 1})\n"
             "import harness.certify.wording\n"
             "assert harness.certify('cnn') == (('cnn',), {}) and harness.certify.wording.size(0.0) == '0'\n"
             "assert harness.Certificate.__module__ == 'harness.certify.certificate'\n")
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
