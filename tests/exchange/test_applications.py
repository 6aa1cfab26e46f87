"""Every model of keras.applications: imported from its .keras file, its PyTorch twin agrees in float64."""

import json

import pytest

from tests.exchange.applications import NAMES
from tests.forked import run_module

TOLERANCE = 1e-8
# One of each kind: depthwise convolutions, operations between layers, layers that the application defines itself.
ALWAYS = ("MobileNetV2", "MobileNetV3Small", "ConvNeXtTiny")
pytestmark = pytest.mark.frameworks


def check(folder, *names):
    for framework, half in (("tensorflow", "keras"), ("pytorch", "pytorch")):
        run_module(framework, "tests.exchange.applications", half, folder, *names)
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
