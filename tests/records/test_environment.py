"""The environment is told without a framework, and its slug is a safe name."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from harness.records.environment import cpu_name, environment, machine_slug
from harness.records.strict_json import dumps


def test_environment():
    told = environment()
    assert set(told) == {
        *("machine", "cpu", "cores", "memory_bytes", "gpu", "python"),
        *("versions", "threads", "precision", "platform"),
    }
    assert told["cores"] >= 1
    assert told["versions"]["numpy"]
    assert re.fullmatch(r"[a-z0-9_-]+", told["machine"])
    assert dumps(told)
    assert environment() == told


def test_no_framework_is_loaded():
    program = (
        "import sys, harness.records.store, harness.records.environment as e; e.environment();"
        "sys.exit(bool({'tensorflow', 'keras', 'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("cpu", "gpus", "slug"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", [], "x86_64-intel-xeon-2c"),
        ("AMD EPYC 7B12 64-Core Processor", [], "x86_64-amd-epyc-7b12-2c"),
        ("AMD EPYC", ["NVIDIA H200"], "x86_64-amd-epyc-2c-1x-nvidia-h200"),
        ("unknown", [], "x86_64-unknown-2c"),
    ],
)
def test_machine_slug(cpu, gpus, slug):
    assert machine_slug("x86_64", cpu, 2, gpus) == slug


def test_cpu_name(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some   CPU\n")
    assert cpu_name(file) == "Some CPU"
    assert cpu_name(tmp_path / "none")
