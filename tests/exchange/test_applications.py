"""Every model of keras.applications: imported from its .keras file, its PyTorch twin agrees in float64."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exchange.applications import NAMES

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-8
# One of each kind: depthwise convolutions, operations between layers, layers that the application defines itself.
ALWAYS = ("MobileNetV2", "MobileNetV3Small", "ConvNeXtTiny")
pytestmark = pytest.mark.frameworks


def run(half, folder, *names):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    result = subprocess.run([sys.executable, "-m", "tests.exchange.applications", half, str(folder), *names],
                            cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


def check(folder, *names):
    run("keras", folder, *names)
    run("pytorch", folder, *names)
    for name, found in json.loads((folder / "errors.json").read_text()).items():
        assert found["between_images"] > 1e-3, f"{name}: the outputs do not depend on the image; nothing is compared"
        assert found["error"] < TOLERANCE, name


def test_some_applications(tmp_path):
    check(tmp_path, *ALWAYS)


@pytest.mark.sweep
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALWAYS])
def test_every_application(tmp_path, name):
    check(tmp_path, name)
    (tmp_path / f"{name}.keras").unlink()  # up to 3 GB


def test_the_list_is_whole():
    assert len(NAMES) == len(set(NAMES)) == 40
