"""Ports written by hand: the correct ones are certified, each classic mistake is found, placed and named.

The teacher is the harness's own PyTorch model, which starts in a tenth of the time and is certified elsewhere;
`test_keras_itself_teaches` takes Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.certify.certificate import DIFFERENT, NOT_CERTIFIED, SAME_TO_ROUNDING, Certificate
from harness.errors import SpecError
from harness.runner.ports.driver import Lesson, teach
from harness.runner.workers import Worker
from tests.faults.ports.cases import CORRECT, MISTAKES, Case
from tests.faults.ports.models import MODELS, RECIPES

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(900)]
FOLDER = "tests/faults/ports"
STEPS = 5
# One of each kind of evidence; the others in turn.
ALWAYS = {"Exact", "ChannelsFirstFlatten", "Text", "Block", "ResidualInsideBlock", "DefaultMomentum",
          "SymmetricPadding", "ResidualBeforeActivation", "DropsAlways", "Exact-step_without_train", "Exact-adam",
          "OutputGateThird", "UnscaledBlock", "PaddingRow", "Autocast"}


@pytest.fixture(scope="module")
def lesson() -> Iterator[Callable[[str], Lesson]]:
    """The lesson of a model by its name."""
    found: dict[str, Lesson] = {}
    with Worker("pytorch") as worker:
        def of(name: str) -> Lesson:
            if name not in found:
                found[name] = teach(MODELS[name](), recipe=RECIPES.get(name), steps=STEPS, teacher="pytorch",
                                    workers={"pytorch": worker})
            return found[name]

        yield of
        for item in found.values():
            item.close()


def certificate_of(lesson: Lesson, case: Case) -> Certificate:
    return lesson.certify(f"{FOLDER}/{case.port.replace(':', '.py:')}", **case.options)


def parts(cases: tuple[Case, ...]) -> list[object]:
    return [pytest.param(case, id=f"{case.model}-{case.name}",
                         marks=() if case.name in ALWAYS else pytest.mark.sweep) for case in cases]


@pytest.mark.parametrize("case", parts(CORRECT))
def test_correct_ports_are_certified(case: Case, lesson: Callable[[str], Lesson]) -> None:
    found = certificate_of(lesson(case.model), case)
    assert found.label == SAME_TO_ROUNDING, found.sentence
    assert [rung.status for rung in found.phases[0].rungs] == ["passed"] * 5


@pytest.mark.parametrize("case", parts(MISTAKES))
def test_mistakes_are_found_placed_and_named(case: Case, lesson: Callable[[str], Lesson]) -> None:
    found = certificate_of(lesson(case.model), case)
    assert found.label == DIFFERENT, found.sentence
    assert found.finding is not None
    assert (found.finding.rung, found.finding.part) == (case.rung, case.part), found.sentence
    if case.layer is not None:
        assert found.finding.layer == case.layer, found.sentence
    assert case.cause in (found.finding.cause or ""), found.sentence


def test_a_port_without_a_weight_is_refused_with_its_name(lesson: Callable[[str], Lesson]) -> None:
    with pytest.raises(SpecError, match=r"without a place in the port: hidden/bias \(16,\)"):
        lesson("images").certify(f"{FOLDER}/images.py:NoBias")


def test_a_function_that_is_not_there_is_told(lesson: Callable[[str], Lesson]) -> None:
    with pytest.raises(SpecError, match="Did you mean 'Exact'"):
        lesson("images").certify(f"{FOLDER}/images.py:Exakt")


def test_a_lower_precision_is_told_even_where_the_weights_hardly_show_it(lesson: Callable[[str], Lesson]) -> None:
    """Whether R4 sees one rounded tensor hangs on the last digits; that it is there does not."""
    found = lesson("images").certify(f"{FOLDER}/precision.py:ThroughHalf")
    assert "its forward computes in float16" in " ".join((found.sentence, *found.notes)), found


def test_a_port_that_does_not_train_in_float32_is_not_certified(lesson: Callable[[str], Lesson]) -> None:
    found = lesson("bare").certify(f"{FOLDER}/precision.py:OnlyDouble")
    assert found.label == NOT_CERTIFIED
    assert "the port does not train in float32" in found.sentence
    assert [rung.status for rung in found.phases[0].rungs] == ["passed"] * 4 + ["not run"]


@pytest.mark.slow
@pytest.mark.sweep
def test_a_compiled_program_that_computes_something_else_is_found(lesson: Callable[[str], Lesson]) -> None:
    found = lesson("images").certify(f"{FOLDER}/precision.py:OtherProgram", torch_compile=True)
    assert found.finding is not None, found.sentence
    assert (found.finding.rung, found.finding.part) == ("R4", "program"), found.sentence
    assert "under torch.compile" in (found.finding.cause or "")


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("name", list(MODELS))
def test_keras_itself_teaches(name: str) -> None:
    """Every correct port against Keras on TensorFlow."""
    with teach(MODELS[name](), recipe=RECIPES.get(name), steps=STEPS) as taught:
        for case in (case for case in CORRECT if case.model == name):
            found = certificate_of(taught, case)
            assert found.certified, (case.name, found.sentence)
