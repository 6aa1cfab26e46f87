"""Experiments and recipes that cannot be run as they are written."""

from tests.bad_inputs.case import Case

BASE = """\
data: digits
recipe:
  optimizer: {Adam: {learning_rate: 0.001}}
  phases:
    - {name: pretrain, epochs: 2}
matrix:
  model: [mlp_64_64]
  seed: [0]
"""
RECIPE = "loss: mse\noptimizer: adam\nepochs: 2\n"


def changed(name: str, old: str, new: str, *expected: str, command: str = "check e.yaml") -> Case:
    """BASE with one piece of text replaced."""
    assert old in BASE, old
    return Case(name, command, (r"e\.yaml", *expected), {"e.yaml": BASE.replace(old, new)})


def phase(name: str, entry: str, *expected: str) -> Case:
    """BASE with another entry in its phase, on line 5."""
    return changed(name, "epochs: 2}", f"epochs: 2, {entry}}}", *expected)


def recipe(name: str, old: str, new: str, *expected: str) -> Case:
    assert old in RECIPE, old
    return Case(name, "check r.yaml", (r"r\.yaml", *expected), {"r.yaml": RECIPE.replace(old, new)})


def override(name: str, argument: str, *expected: str) -> Case:
    return Case(name, f"run e.yaml --dry-run '{argument}'", expected, {"e.yaml": BASE})


CASES = (
    changed("unknown key", "data: digits", "dataa: digits", "line 1", "unknown key 'dataa'", "Did you mean 'data'"),
    changed("unknown optimizer", "Adam:", "Adm:", "line 3", "unknown optimizer 'Adm'", "Did you mean 'Adam'"),
    changed("unknown argument of the optimizer", "learning_rate:", "lr:", "line 3", "Adam", "no argument 'lr'"),
    changed("unknown schedule", "learning_rate: 0.001", "learning_rate: {CosinDecay: {decay_steps: 10}}", "line 3",
            "unknown .*schedule 'CosinDecay'", "Did you mean 'CosineDecay'"),
    changed("a schedule without its steps", "learning_rate: 0.001", "learning_rate: {CosineDecay: {}}", "line 3",
            "CosineDecay|initial_learning_rate", "required"),
    changed("negative learning rate", "0.001", "-0.001", "line 3", "learning_rate", r"-0\.001"),
    changed("a learning rate that is text", "0.001", "fast", "line 3", "fast"),
    changed("unknown loss", "recipe:", "recipe:\n  loss: crossentropy", "line 3", "unknown loss 'crossentropy'",
            "Did you mean|Known"),
    changed("unknown metric", "recipe:", "recipe:\n  metrics: [acuracy]", "line 3", "unknown metric 'acuracy'",
            "Did you mean 'accuracy'|Did you mean 'Accuracy'"),
    changed("unknown key of the recipe", "recipe:", "recipe:\n  batchsize: 3", "line 3", "no argument 'batchsize'",
            "Did you mean 'batch_size'"),
    changed("a batch of no examples", "recipe:", "recipe:\n  batch_size: 0", "line 3", "batch_size", "greater than"),
    changed("two ways of clipping", "learning_rate: 0.001", "clipnorm: 1.0, clipvalue: 1.0", "line 3", "only one of",
            "clipnorm"),
    changed("negative epochs", "epochs: 2", "epochs: -2", "line 5", "epochs", "-2"),
    changed("half an epoch", "epochs: 2", "epochs: 2.5", "line 5", "epochs", r"2\.5"),
    changed("epochs that are text", "epochs: 2", "epochs: many", "line 5", "epochs", "many"),
    phase("unknown key of a phase", "freez: [hidden_1]", "line 5", "no argument 'freez'", "Did you mean 'freeze'"),
    phase("a freeze pattern that fits nothing", "freeze: [hiden_1]", "mlp_64_64", "pretrain", "no layer fits 'hiden_1'",
          "Did you mean 'hidden_1'"),
    phase("every layer frozen", "freeze: ['*']", "pretrain", "every layer is frozen"),
    phase("a multiplier that fits nothing", "learning_rate_multipliers: {head: 0.1}", "pretrain",
          "nothing fits 'head'"),
    phase("a layer to replace that is not there", "replace: {head: null}", "pretrain", "no layer 'head'"),
    phase("a layer to replace by nonsense", "replace: {probabilities: {Dens: {units: 3}}}", "pretrain",
          "unknown layer 'Dens'", "Did you mean 'Dense'"),
    phase("a checkpoint that is not there", "start_from: before.safetensors", "pretrain", r"before\.safetensors"),
    phase("the first phase from the other framework", "start_from: pytorch", "line", "first phase", "pytorch"),
    phase("an output that is not there", "loss: {logits: mse}", "pretrain", "no output 'logits'",
          "Did you mean|probabilities"),
    phase("early stopping with an unknown key", "early_stopping: {patient: 3}", "line 5", "no argument 'patient'",
          "Did you mean 'patience'"),
    changed("phases that are a mapping", "phases:\n    - {name: pretrain, epochs: 2}", "phases: {pretrain: 2}",
            "line 4",
            "list of phases"),
    changed("two phases of one name", "epochs: 2}", "epochs: 2}\n    - {name: pretrain, epochs: 1}", "line",
            "two phases are named 'pretrain'"),
    changed("no model", "  model: [mlp_64_64]\n", "", "no model is given", "matrix: {model"),
    changed("unknown model", "mlp_64_64", "mlp_64_65", "line 7", "no model 'mlp_64_65'", "Did you mean 'mlp_64_64'"),
    changed("unknown parameter of a model", "mlp_64_64", "{mlp: {unit: 3}}", "line 7", "unknown parameter 'unit'",
            "Did you mean 'units'"),
    changed("a model file that is not there", "mlp_64_64", "mine.yaml", "line 7", "no such file"),
    changed("a model that is a number", "[mlp_64_64]", "[3]", "line 7", "cannot read 3 as a model"),
    changed("unknown backend", "seed: [0]", "backend: [jaxx, pytorch]", "line 8", "unknown backend 'jaxx'"),
    changed("unknown axis", "seed: [0]", "sede: [0]", "line 8", "'sede' is no axis", "Did you mean 'seed'"),
    changed("an axis without values", "seed: [0]", "seed: []", "line 8", "'seed' has no values"),
    changed("an axis with a value twice", "seed: [0]", "seed: [0, 0]", "line 8", "value 0 twice"),
    changed("a negative seed", "seed: [0]", "seed: [-1]", "line 8", "seed", "-1"),
    changed("everything excluded", "seed: [0]\n", "seed: [0]\nexclude: [{seed: 0}]\n", "excluded"),
    changed("an exclusion of no axis", "seed: [0]\n", "seed: [0]\nexclude: [{tier: tuned}]\n", "line 9",
            "'tier' is no axis"),
    changed("a matrix that is a list", "matrix:\n  model: [mlp_64_64]\n  seed: [0]", "matrix: [mlp]", "line 6",
            "mapping"),
    changed("a margin above 1", "seed: [0]\n", "seed: [0]\nverdict: {margin: 3}\n", "line 9", "margin", "less than 1"),
    changed("a target that is no number", "seed: [0]\n", "seed: [0]\nverdict: {target: {val_loss: high}}\n", "line 9",
            "target", "expected a number or a metric with one", "val_accuracy=0.9"),
    changed("a verdict on an unknown tier", "seed: [0]\n", "seed: [0]\nverdict: {tier: tunde}\n", "line 9", "tier",
            "'tuned' or 'idiomatic'"),
    changed("unknown device", "seed: [0]\n", "seed: [0]\nexecution: {device: tpu}\n", "line 9", "device", "tpu"),
    changed("unknown precision", "seed: [0]\n", "seed: [0]\nexecution: {precision: float17}\n", "line 9", "precision",
            "float17"),
    changed("too many threads", "seed: [0]\n", "seed: [0]\nexecution: {threads: 100000}\n", "line 9", "threads"),
    changed("a name with a slash", "data: digits", "data: digits\nname: ../up", "line 2",
            r"'\.\./up' cannot name a folder"),
    changed("unknown data", "data: digits", "data: digit", "line 1", "unknown source 'digit'", "Did you mean 'digits'"),
    changed("unknown preparation", "data: digits", "data: {source: digits, prepare: [standardize2]}", "line 1",
            "unknown .*'standardize2'", "Did you mean 'standardise'|Did you mean 'Standardise'"),
    changed("a table without a target", "data: digits", "data: heart.csv", "line 1", "target"),
    changed("a split above the whole", "data: digits", "data: {source: digits, split: {test: 1.5}}", "line 1", "test",
            r"1\.5"),
    changed("a tag that would run code", "data: digits", "data: !!python/object/apply:os.system ['touch hacked']",
            "line 1", "no tags"),
    changed("a file that is not there", "data: digits", "data: {source: {csv: heart.csv, target: ill}}", "line 1",
            r"no file .*heart\.csv"),
    changed("a path outside the folder", "data: digits", "data: {source: {csv: ../../heart.csv, target: ill}}",
            "line 1",
            "outside the folder"),
    recipe("a recipe without a loss", "loss: mse\n", "", "'loss' is required|unknown"),
    recipe("a recipe with an unknown loss", "mse", "msee", "unknown loss 'msee'", "Did you mean|Known"),
    recipe("a recipe with negative epochs", "2", "-1", "epochs", "-1"),
    recipe("a recipe with an unknown key", "epochs:", "epoch:", "no argument 'epoch'", "Did you mean 'epochs'"),
    override("an override without a value", "recipe.epochs", r"recipe\.epochs", "key=value"),
    override("an override of an unknown key", "recipee.epochs=3", r"recipee", "Did you mean 'recipe'"),
    override("an override of an unknown field", "recipe.epoch=3", "epoch", "Did you mean 'epochs'"),
    override("an override that is no YAML", "recipe.epochs=[3", r"recipe\.epochs=\[3", "no YAML"),
    override("an override of the wrong type", "recipe.batch_size=big", "batch_size", "big"),
    override("an override into a phase that is not there", "recipe.phases.finetune.epochs=3", "finetune",
             "Did you mean|Known"),
    Case("an experiment that is not there", "run nothing.yaml", (r"nothing\.yaml", "no such file")),
    Case("an experiment of the library that is not there", "run quickstrat", ("no experiment 'quickstrat'",
                                                                         "Did you mean 'quickstart'")),
)
