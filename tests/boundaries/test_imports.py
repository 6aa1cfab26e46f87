"""Who may load what: asserted in fresh interpreters, because an import that happened cannot be taken back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.spec.layers import LATER

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"tensorflow", "keras", "torch"}
HEAVY = {"numpy", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow"}


def loaded(code: str) -> set[str]:
    """Top-level modules in sys.modules after running the code."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.strip().splitlines()[-1]))


# What a check of an experiment of a plain network does without: every family of LATER in the vocabulary, and these.
RARE = {"class_losses", "value_losses", "classic_optimizers", "recent_optimizers", "confusion_metrics",
        "count_metrics", "mean_metrics", "sequence_metrics", "operations", "keras_config"}
CHECKED = """
import json, sys
from harness.cli.checking import check_file
check_file("experiments/quickstart.yaml")
from harness.spec.configured import Configured
classes, left = [], [Configured]
while left:
    classes.append(left.pop())
    left += classes[-1].__subclasses__()
texts = [c.__name__ for c in classes if any(isinstance(a, str) for a in vars(c).get("__annotations__", {}).values())]
print(json.dumps({"modules": [m for m in sys.modules if m.startswith("harness.")], "texts": texts}))
"""


def test_a_check_of_a_plain_experiment_makes_no_rarely_used_classes():
    result = subprocess.run([sys.executable, "-c", CHECKED], capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(result.stdout.strip().splitlines()[-1])
    assert "harness.spec.metrics" in found["modules"]
    rare = {f"harness.spec.{name}" for name in RARE} | {f"harness.spec.layers.{name}" for name in LATER}
    assert not rare & set(found["modules"])
    # Annotations in text are compiled for every subclass anew (harness/spec/configured.py).
    assert found["texts"] == []


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
