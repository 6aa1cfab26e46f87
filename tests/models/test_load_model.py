"""Where models are looked for, and what is said about files that are none."""

from pathlib import Path

import pytest

from harness import SpecError
from harness.models import accepted_parameters, available_models, library_folder, load_model

TINY = """\
from harness import Input, Model, layers

def tiny(width=3, input_shape=(4,)):
    x = Input(input_shape, name="x")
    return Model(x, layers.Dense(width, name="out")(x), name="tiny")
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def test_the_library_is_there_from_every_folder():
    assert load_model("mlp_64_64").name == "mlp_64_64"
    assert library_folder("models").is_dir()


def test_the_models_of_the_current_folder_come_first():
    write("models/mlp.py", TINY.replace("def tiny", "def mlp"))
    write("models/mine.yaml", "inputs: [{shape: [2]}]\nlayers: [{Dense: {units: 3}}]\n")
    assert load_model("mlp").name == "tiny"
    assert load_model("mine").parameters == 9
    assert available_models()["mlp"] == Path("models/mlp.py")
    assert available_models()["cnn"].parent == library_folder("models")


def test_private_files_are_no_models():
    write("models/_parts.py", TINY)
    write("models/notes.txt", "")
    assert not {"_parts", "notes"} & set(available_models())


def test_a_file_with_one_function_or_the_one_called_like_it():
    assert load_model(write("a.py", TINY), width=5).parameters == 25
    both = TINY + "\n\ndef b():\n    return tiny(2)\n"
    assert load_model(write("b.py", both)).parameters == 10
    assert load_model("b.py:tiny").parameters == 15
    assert load_model(Path("b.py")).parameters == 10


def test_what_a_file_imports_is_no_model_of_it():
    write("c.py", "from json import dumps\n" + TINY)
    assert load_model("c.py").name == "tiny"


def test_a_file_is_read_anew_each_time_and_leaves_nothing_behind():
    write("d.py", TINY)
    assert load_model("d.py").parameters == 15
    write("d.py", TINY.replace("width=3", "width=4"))
    assert load_model("d.py").parameters == 20
    assert [item.name for item in Path().iterdir()] == ["d.py"]


def test_keyword_arguments_of_any_name():
    write("e.py", TINY + "\n\ndef e(**options):\n    return tiny(options['wide'])\n")
    assert load_model("e.py", wide=6).parameters == 30
    assert accepted_parameters("e.py") == set()


def test_parameters_of_a_spec():
    write("m.yaml", "inputs: [{name: x, shape: [4, 4]}]\n"
                    "layers: [{Flatten: {}}, {Dense: {units: 5}}, {Dense: {units: 2}}, {Activation: softmax}]\n"
                    .replace("{Activation: softmax}", "{Activation: {activation: softmax}}"))
    changed = load_model("m.yaml", input_shape=[2, 3], num_classes=7)
    assert changed.inputs[0].shape == (None, 2, 3)
    assert changed.tensors[changed.outputs[0]] == (None, 7)
    assert changed.layers["dense"].units == 5
    assert load_model("m.yaml", input_shape=None, num_classes=None).digest == load_model("m.yaml").digest
    assert accepted_parameters("m.yaml") == {"input_shape", "num_classes"}


def test_a_reshape_that_adds_an_axis_follows_the_input():
    shapes = {(28, 28): (28, 28, 1), (8, 8): (8, 8, 1), (32, 32, 3): (32, 32, 3), (28, 28, 1): (28, 28, 1)}
    for given, made in shapes.items():
        assert load_model("simple_cnn", input_shape=given).tensors["reshape"] == (None, *made)
    with pytest.raises(SpecError, match=r"input_shape|reshape"):
        load_model("simple_cnn", input_shape=(2, 2, 2, 2))


def test_a_reshape_that_means_something_else_stays():
    write("r.yaml", "inputs: [{name: x, shape: [6]}]\nlayers: [{Reshape: {target_shape: [2, 3]}}]\n")
    assert load_model("r.yaml").tensors["reshape"] == (None, 2, 3)
    with pytest.raises(SpecError, match=r"Reshape cannot turn"):
        load_model("r.yaml", input_shape=(8,))


@pytest.mark.parametrize(("file", "text", "message"), [
    ("f.py", "def f(:\n", r"f\.py, line 1: Python syntax error"),
    ("f.py", "\n\nimport nothing_of_that_name\n", r"f\.py, line 3: ModuleNotFoundError: .*nothing_of_that_name"),
    ("f.py", "x = 1\n", r"f\.py: there is no function 'f' in the file"),
    ("f.py", TINY + "\n\ndef other():\n    pass\n",
     r"f\.py: there is no function 'f' in the file\. Known: other, tiny"),
    ("f.py", "def f():\n    return 3\n", r"f\.py: f: the function returned int, expected a model"),
    ("f.py", "def f():\n    x = 1\n    return x / 0\n", r"f\.py, line 3: ZeroDivisionError"),
    ("f.py", "import sys\nsys.exit(1)\n", r"f\.py, line 2: SystemExit"),
    ("f.py", "def f(width):\n    pass\n", r"f\.py: f: the model needs a value for width"),
    ("f.py", TINY.replace("Dense(", "Dens("), r"f\.py, line 5: .*there is no layer 'Dens'\. Did you mean 'Dense'"),
    ("f.py", TINY.replace("width, name", "width, nam"), r"f\.py, line 5: .*there is no argument 'nam'"),
    ("f.py", "\0", r"f\.py"),
    ("f.yaml", "layers: [", r"f\.yaml, line \d+: YAML syntax error"),
])
def test_mistakes_in_the_file(file: str, text: str, message: str):
    with pytest.raises(SpecError, match=message):
        load_model(write(file, text))


@pytest.mark.parametrize(("name", "parameters", "message"), [
    ("mlpp", {}, "there is no model 'mlpp'. Did you mean 'mlp'"),
    ("nothing/here", {}, r"there is no model 'nothing/here'.*ending must be \.py"),
    ("nothing.yaml", {}, r"nothing\.yaml: there is no such file"),
    ("nothing.py:f", {}, r"nothing\.py: there is no such file"),
    ("mlp_64_64", {"units": 3}, r"unknown parameter 'units'; the model takes input_shape, num_classes"),
    ("mlp", {"unit": 3}, r"mlp: unknown parameter 'unit'.*Did you mean 'units'"),
    ("mlp_64_64", {"num_classes": 0}, "num_classes: Dense 'probabilities': units"),
    ("mlp_64_64", {"input_shape": "wide"}, "input_shape: expected a list of sizes"),
    ("mlp_64_64", {"input_shape": [0]}, "input_shape: .*positive"),
])
def test_mistakes_in_the_call(name: str, parameters: dict, message: str):
    with pytest.raises(SpecError, match=message):
        load_model(name, **parameters)


def test_num_classes_needs_a_dense_layer():
    write("n.yaml", "inputs: [{name: x, shape: [6]}]\nlayers: [Flatten]\n")
    with pytest.raises(SpecError, match="no Dense layer whose units num_classes could set"):
        load_model("n.yaml", num_classes=3)
