"""Model specs that cannot be read."""

from pathlib import Path

from tests.bad_inputs.case import Case, Content

HEAD = "name: m\ninputs:\n  - {name: image, shape: [4, 4]}\nlayers:\n"


def layers(*entries: str, tail: str = "") -> str:
    """A model spec; the first layer stands on line 5."""
    return HEAD + "".join(f"  - {entry}\n" for entry in entries) + tail


def model(name: str, text: Content, *expected: str, file: str = "m.yaml") -> Case:
    return Case(name, f"check {file}", expected, {file: text})


def bomb() -> str:
    """Billion laughs: nine levels of ten aliases each."""
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*lines, "layers: *a9"])


def sparse(path: Path) -> None:
    """17 MiB that take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(17 * 2**20)


CASES = (
    model("unknown layer", layers("Flatten: {}", "Dens: {units: 3}"), r"m\.yaml, line 6", "unknown layer 'Dens'",
          "Did you mean 'Dense'"),
    model("unknown argument", layers("Flatten: {}", "Dense: {unitz: 3}"), r"m\.yaml, line 6", "Dense",
          "no argument 'unitz'", "Did you mean 'units'"),
    model("missing argument", layers("Dense: {}"), r"m\.yaml, line 5", "Dense", "'units' is required"),
    model("wrong type", layers("Dense: {units: many}"), r"m\.yaml, line 5", "units", "integer", "'many'"),
    model("negative units", layers("Dense: {units: -3}"), r"m\.yaml, line 5", "units", "greater than 0", "-3"),
    model("rate above 1", layers("Dropout: {rate: 1.5}"), r"m\.yaml, line 5", "rate", "1.5"),
    model("unknown activation", layers("Dense: {units: 3, activation: rellu}"), r"m\.yaml, line 5", "rellu",
          "Did you mean 'relu'"),
    model("unknown initializer", layers("Dense: {units: 3, kernel_initializer: glorot}"), r"m\.yaml, line 5",
          "unknown initializer 'glorot'", "Did you mean|Known"),
    model("unknown regularizer", layers("Dense: {units: 3, kernel_regularizer: l3}"), r"m\.yaml, line 5",
          "unknown regularizer 'l3'", "Did you mean|Known"),
    model("wrong shape", layers("Flatten: {}", "Conv2D: {filters: 2, kernel_size: 3}"), r"m\.yaml", "'conv2d'",
          r"\(batch, height, width, channels\)", r"\(None, 16\)"),
    model("reshape to another size", layers("Reshape: {target_shape: [5, 5]}"), r"m\.yaml", "'reshape'", "16",
          r"\(5, 5\)"),
    model("kernel larger than the image",
          layers("Reshape: {target_shape: [4, 4, 1]}", "Conv2D: {filters: 2, kernel_size: 5}"), r"m\.yaml", "'conv2d'",
          "Conv2D|5"),
    model("merge of unequal shapes",
          layers("Dense: {units: 3, name: a}", "Dense: {units: 2, name: b, inputs: [image]}", "Add: {inputs: [a, b]}"),
          r"m\.yaml", "'add'", "cannot merge", r"\(None, 4, 3\)"),
    model("cyclic graph",
          layers("Dense: {units: 4, name: a, inputs: [b]}", "Dense: {units: 4, name: b, inputs: [a]}"),
          r"m\.yaml, line",
          "cycle: .*a.*b"),
    model("a layer that feeds itself", layers("Dense: {units: 4, name: a, inputs: [a]}"), r"m\.yaml, line 5", "cycle",
          "feed itself"),
    model("duplicate name", layers("Dense: {units: 4, name: a}", "Dense: {units: 4, name: a}"), r"m\.yaml, line 6",
          "two layers are named 'a'"),
    model("a layer called like an input", layers("Dense: {units: 4, name: image}"), r"m\.yaml, line 5",
          "two layers are named 'image'"),
    model("a name with a colon", layers("Dense: {units: 4, name: 'a:b'}"), r"m\.yaml, line 5", "name", "'a:b'"),
    model("unknown key", layers("Flatten: {}", tail="ouputs: [flatten]\n"), r"m\.yaml, line 6", "unknown key 'ouputs'",
          "Did you mean 'outputs'"),
    model("unknown input", layers("Dense: {units: 3, inputs: [imag]}"), r"m\.yaml", "'imag' does not exist",
          "Did you mean 'image'"),
    model("unknown output", layers("Flatten: {}", tail="outputs: [flaten]\n"), r"m\.yaml", "'flaten' does not exist",
          "Did you mean 'flatten'"),
    model("no inputs", "layers:\n  - Flatten: {}\n", r"m\.yaml", "'inputs' is a list"),
    model("no layers", "inputs: [{shape: [2]}]\nlayers: []\n", r"m\.yaml, line 2", "'layers' is a list"),
    model("an input of size 0", "inputs:\n  - {name: x, shape: [0, 4]}\nlayers: [Flatten]\n", r"m\.yaml, line 2",
          "positive integers", r"\(0, 4\)"),
    model("an input without a shape", "inputs:\n  - {name: x}\nlayers: [Flatten]\n", r"m\.yaml, line 2", "shape"),
    model("a layer that is a number", layers("3"), r"m\.yaml, line 5", "a layer is written", "3"),
    model("a shared layer that is not there", layers("call: {layer: hidden}"), r"m\.yaml, line 5", "shared layer"),
    model("YAML syntax", "name: m\nlayers: [Flatten\ninputs: {", r"m\.yaml, line [34]", "YAML syntax error"),
    model("a tab for a blank", "name: m\nlayers:\n\t- Flatten\n", r"m\.yaml, line 3", "YAML syntax error"),
    model("duplicate key", layers("Flatten: {}", tail="name: n\n"), r"m\.yaml, line 6", "'name' stands twice"),
    model("duplicate argument", layers("Dense: {units: 3, units: 4}"), r"m\.yaml, line 5", "'units' stands twice"),
    model("a tag that would run code", "layers: !!python/object/apply:os.system ['touch hacked']\n", r"m\.yaml, line 1",
          "no tags"),
    model("a tag of an object", "layers: !!python/name:os.system\n", r"m\.yaml, line 1", "no tags"),
    model("an alias bomb", bomb(), r"m\.yaml", "alias|list|large|layer"),
    model("an alias that holds itself", "layers: &a [*a]\n", r"m\.yaml, line 1", "alias"),
    model("not UTF-8", "name: Größe\nlayers: [Flatten]".encode("latin-1"), r"m\.yaml", "not UTF-8"),
    model("a binary file", bytes(range(256)), r"m\.yaml", "not UTF-8|YAML syntax error"),
    model("an empty file", "", r"m\.yaml", "expected a mapping, got nothing", "A model has 'layers'"),
    model("a list", "- Flatten\n", r"m\.yaml", "expected a mapping, got list"),
    model("none of the known kinds", "colour: red\n", r"m\.yaml", "no model, experiment or recipe", "colour"),
    model("a huge file", sparse, r"m\.yaml", "larger than 16 MiB"),
    model("deep nesting", "[" * 5000, r"m\.yaml", "YAML syntax error|nest|mapping"),
    model("JSON syntax", '{\n"layers": [}\n', r"m\.json, line 2", "JSON syntax error", file="m.json"),
    model("JSON with a key twice", '{"name": "m", "name": "n", "layers": []}', r"m\.json", "'name' stands twice",
          file="m.json"),
    model("deeply nested JSON", "[" * 200000, r"m\.json", "JSON syntax error|nest|mapping", file="m.json"),
    Case("missing file", "check mm.yaml", (r"mm\.yaml", "no such file"), {"m.yaml": layers("Flatten: {}")}),
    Case("a folder for a file", "check m.yaml", (r"m\.yaml", "not a file"), {"m.yaml/x": ""}),
    Case("an unknown model", "show mpl", ("there is no model 'mpl'", "Did you mean 'mlp'")),
    Case("an unknown parameter", "show mlp unit=3", (r"mlp\.py: mlp", "unknown parameter 'unit'",
                                                     "Did you mean 'units'")),
    Case("a parameter without a value", "show mlp units", ("key=value", "'units'")),
    Case("a parameter that is no YAML", "show mlp units=[3", (r"units=\[3", "no YAML")),
    Case("a parameter given twice", "show mlp units=3 units=4", ("'units' is given twice",)),
    Case("a model file with a mistake", "show m.py", (r"m\.py, line 2", "NameError", "Input"),
         {"m.py": "def m():\n    return Input((3,))\n"}),
    Case("a model file that ends the program", "show m.py", (r"m\.py, line 1", "SystemExit"),
         {"m.py": "raise SystemExit(0)\n"}),
    Case("a model file without a model", "show m.py:n", (r"m\.py", "no function 'n'", "Known: m"),
         {"m.py": "def m():\n    pass\n"}),
)
