"""Who may load what: asserted in fresh interpreters, because an import that happened cannot be taken back."""

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"tensorflow", "keras", "torch"}
HEAVY = {"numpy", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow"}


def loaded(code: str) -> set[str]:
    """Top-level modules in sys.modules after running the code."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.strip().splitlines()[-1]))


def test_importing_harness_loads_nothing_heavy():
    assert not loaded("import harness") & (FRAMEWORKS | HEAVY | {"pydantic"})


@pytest.mark.parametrize("module", ["harness.spec.layers", "harness.spec.serial", "harness.spec.recipe",
                                    "harness.spec.dataset", "harness.spec.experiment", "harness.spec.execution"])
def test_spec_is_plain(module: str):
    assert not loaded(f"import {module}") & (FRAMEWORKS | HEAVY)


@pytest.mark.parametrize("module", [
    "harness.plan.compiler", "harness.plan.finetune", "harness.data", "harness.records.store", "harness.analysis",
    "harness.report.results", "harness.runner.driver", "harness.training.run", "harness.cli.main", "harness.keras",
])
def test_no_framework_outside_the_backends(module: str):
    assert not loaded(f"import {module}") & FRAMEWORKS


def test_a_backend_loads_its_own_framework_only():
    assert "torch" not in loaded("import harness.backends.tensorflow")
    assert not loaded("import harness.backends.pytorch") & {"tensorflow", "keras"}
