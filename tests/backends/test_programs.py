"""Every program of the tuned tier is the training of the uncompiled one in lock-step, or says why it is not run."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.execution import MIXED, PROGRAMS, Execution
from harness.spec.explicit import explicit
from tests.backends.program_cases import MODELS, RECIPES
from tests.forked import run_module

PYTORCH = [
    "loading_starts_again", "tracing_sees_every_call", "recording_leaves_no_trace", "looking_at_values_is_an_error",
    "what_is_refused",
    *(f"captured step / {model} / adam / {dtype}" for model in MODELS for dtype in ("float64", "float32")),
    *(f"captured step / {model} / {recipe} / float64" for model, recipe in zip(("cnn", "mlp", "transformer"),
                                                                               list(RECIPES)[1:], strict=True)),
]
TENSORFLOW = [
    "one_program_for_all_steps", "what_is_refused", "graph loop / cnn / schedule, clipping, average / float64",
    "xla loop / mlp / accumulation / float64", "xla step / mlp / loss scale / float64",
]
# Inductor compiles for up to a minute. Its programs leave the update to the optimizer: one model has all recipes.
SWEEP = {
    "pytorch": [" / ".join(item) for item in product(("inductor", "inductor step"), MODELS, ("adam",), ("float64",))]
    + [f"inductor step / mlp / {recipe} / float64" for recipe in list(RECIPES)[1:]]
    + [f"captured step / {model} / {recipe} / float64" for model in MODELS for recipe in RECIPES]
    + [f"inductor step / {model} / adam / float32" for model in MODELS]
    + [f"captured step / {model} / adam / {policy}" for model in MODELS for policy in MIXED]
    # Not float16: what Inductor fuses overflows less, so that it leaves out fewer steps.
    + [f"{program} / mlp / accumulation / mixed_bfloat16" for program in ("inductor", "inductor step")],
    "tensorflow": [" / ".join(item) for item in product(PROGRAMS["tensorflow"], MODELS, RECIPES, ("float64",))]
    + [f"{program} / {model} / adam / float32" for program in PROGRAMS["tensorflow"] for model in MODELS]
    + [f"xla loop / {model} / accumulation / {policy}" for model in ("mlp", "cnn") for policy in MIXED],
}


def run(backend: str, checks: list[str], folder: Path) -> dict[str, str | None]:
    file = folder / f"{backend}.json"
    run_module(backend, f"tests.backends.programs_{backend}", file, *checks)
    found: dict[str, str | None] = json.loads(file.read_text())
    return found


@pytest.fixture(scope="module")
def pytorch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    return run("pytorch", PYTORCH, tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    return run("tensorflow", TENSORFLOW, tmp_path_factory.mktemp("programs"))


@pytest.mark.frameworks
@pytest.mark.parametrize("check", PYTORCH)
def test_pytorch(check: str, pytorch: dict[str, str | None]) -> None:
    assert pytorch[check] is None, pytorch[check]


@pytest.mark.frameworks
@pytest.mark.parametrize("check", TENSORFLOW)
def test_tensorflow(check: str, tensorflow: dict[str, str | None]) -> None:
    assert tensorflow[check] is None, tensorflow[check]


@pytest.mark.frameworks
@pytest.mark.sweep
@pytest.mark.parametrize(("backend", "check"), [(backend, check) for backend, checks in SWEEP.items()
                                                for check in checks])
def test_sweep(backend: str, check: str, tmp_path: Path) -> None:
    outcome = run(backend, [check], tmp_path)[check]
    assert outcome is None, outcome


@pytest.mark.parametrize(("arguments", "words"), [
    ({"program": "eagr"}, "Did you mean 'eager'"),
    ({"program": "eager", "tier": "idiomatic"}, "the idiomatic tier has no program"),
    ({"program": "xla loop", "compile": "xla"}, "both say what is compiled"),
])
def test_an_execution_names_one_program(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Execution(**arguments)


def test_ids_are_those_of_before_programs_had_names() -> None:
    assert "program" not in explicit(Execution())
    named = explicit(Execution(program="xla step"))
    assert named["program"] == "xla step"
    assert Execution.parse(named) == Execution(program="xla step")
