"""A Keras model with a layer of one's own, which harness.register_layer knows: imported like any other."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYER = '''
import harness
from harness.spec.initializers import Ones

class Stretch(harness.layers.Layer):
    factor: float = 1.0

    def weights(self, *shapes):
        return (harness.layers.Weight("gain", (shapes[0][-1],), Ones()),)

harness.register_layer(Stretch, tensorflow="own_keras:build", pytorch="own_torch:build")
'''
PROGRAM = '''
import pathlib, sys
import numpy as np
import harness
from tests.exchange.broken_files import archive, changed, hdf5, tensor

def change(config):
    own = {"name": "a", "trainable": True, "factor": 2.0}
    config["layers"][1].update(class_name="Stretch", module="mine", registered_name="Mine>Stretch", config=own)
    config["layers"][2]["inbound_nodes"][0]["args"] = [tensor("a", [None, 3])]

arrays = {"layers/dense/vars/0": np.zeros((3, 2)), "layers/dense/vars/1": np.zeros(2),
          "layers/stretch/vars/0": np.arange(3.0)}
spec, weights = harness.from_keras(archive(pathlib.Path(sys.argv[1]), config=changed(change), weights=hdf5(arrays)))
assert spec.layers["a"].config() == {"factor": 2.0}
assert weights["a/gain"].tolist() == [0.0, 1.0, 2.0]
'''


def run(folder, **environment):
    return subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment}, check=False)


def test_it_is_found(tmp_path):
    (tmp_path / "own_layers.py").write_text(LAYER)
    found = run(tmp_path, HARNESS_LAYERS="own_layers")
    assert found.returncode == 0, found.stderr[-2000:]


def test_without_the_registration_it_is_refused(tmp_path):
    refused = run(tmp_path, HARNESS_LAYERS="")
    assert "a (Stretch): it is a class of its own (Mine>Stretch)" in refused.stderr
    assert "register_layer" in refused.stderr
