"""Whole trainings that both backends play from the same plan: 50 steps in float64.

A case is data: a library model and its parameters, a recipe, and what kind of data it eats. Run as

    python -m tests.conformance.trainings <backend> <names as JSON> <out.npz>

it trains the named cases in one framework's process and leaves their losses and weights.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STEPS, BATCH, EXAMPLES = 50, 8, 60


@dataclass(frozen=True)
class Case:
    """inputs: "image", "ids" or "series"; the shapes follow from the model's inputs."""

    model: str
    params: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)
    sample_weight: bool = False
    execution: dict[str, Any] = field(default_factory=dict)


SPARSE = {"loss": "sparse_categorical_crossentropy"}
# A small network with everything on: dropout, batch norm, L2.
MLP = {"input_shape": [6, 6], "num_classes": 3, "units": [8, 8], "dropout": 0.3, "batch_normalization": True,
       "l2": 0.01}
CNN = {"input_shape": [9, 9], "num_classes": 3, "filters": [4, 6], "units": 8, "dropout": 0.3,
       "batch_normalization": True, "l2": 0.01}
SEQUENCE = {"input_shape": [7], "num_classes": 3, "vocabulary": 12, "embedding": 5, "dropout": 0.2, "mask_zero": True}
TRANSFORMER = {"input_shape": [7], "num_classes": 3, "vocabulary": 12, "width": 8, "heads": 2, "feedforward": 12,
               "depth": 1, "dropout": 0.2}


def on_mlp(**recipe: Any) -> Case:
    return Case("mlp", MLP, SPARSE | recipe)


MODELS = {
    "model mlp_64_64": Case("mlp_64_64", {"input_shape": [6, 6], "num_classes": 3}, SPARSE),
    "model mlp_128_64": Case("mlp_128_64", {"input_shape": [6, 6], "num_classes": 3}, SPARSE),
    "model simple_cnn": Case("simple_cnn", {"input_shape": [8, 8], "num_classes": 3},
                             {"loss": {"SparseCategoricalCrossentropy": {"from_logits": True}}}),
    "model mlp": Case("mlp", MLP, SPARSE),
    "model cnn": Case("cnn", CNN, SPARSE),
    "model resnet": Case(
        "resnet", {"input_shape": [8, 8, 2], "num_classes": 3, "depth": 8, "filters": 4, "l2": 1e-3}, SPARSE),
    "model lstm_classifier": Case("lstm_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE),
    "model gru_classifier": Case("gru_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE),
    "model transformer_encoder": Case("transformer_encoder", TRANSFORMER, SPARSE),
    "model transformer_encoder masked": Case("transformer_encoder", TRANSFORMER | {"mask_zero": True}, SPARSE),
}

SCHEDULES = {
    "ExponentialDecay": {"initial_learning_rate": 0.02, "decay_steps": 10, "decay_rate": 0.7},
    "InverseTimeDecay": {"initial_learning_rate": 0.02, "decay_steps": 10, "decay_rate": 0.7, "staircase": True},
    "PolynomialDecay": {"initial_learning_rate": 0.02, "decay_steps": 30, "power": 2.0},
    "PiecewiseConstantDecay": {"boundaries": [10, 30], "values": [0.02, 0.01, 0.001]},
    "CosineDecay": {"initial_learning_rate": 0.001, "decay_steps": 40, "warmup_target": 0.02, "warmup_steps": 8},
    "CosineDecayRestarts": {"initial_learning_rate": 0.02, "first_decay_steps": 15},
}

OPTIMIZERS = {
    "SGD": {"SGD": {"learning_rate": 0.05}},
    "SGD momentum, global_clipnorm": {"SGD": {"learning_rate": 0.05, "momentum": 0.9, "global_clipnorm": 0.5}},
    "SGD nesterov, weight decay": {
        "SGD": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}},
    "Adam, clipnorm": {"Adam": {"clipnorm": 0.2}},
    "Adam amsgrad": {"Adam": {"amsgrad": True, "epsilon": 1e-3}},
    "AdamW, exclusion": {"AdamW": {"weight_decay": 0.05, "exclude_from_weight_decay": ["bias", "gamma", "beta"]}},
    "RMSprop, clipvalue": {"RMSprop": {"clipvalue": 0.01}},
    "RMSprop centered, momentum": {"RMSprop": {"centered": True, "momentum": 0.9}},
    "Adagrad": {"Adagrad": {"learning_rate": 0.05}},
    "Adadelta": {"Adadelta": {"learning_rate": 1.0}},
    "Adamax, clipnorm": {"Adamax": {"clipnorm": 0.5}},
    "Nadam": "Nadam",
    "Ftrl": {"Ftrl": {"learning_rate": 0.05, "l1_regularization_strength": 0.001}},
    "Lion": {"Lion": {"weight_decay": 0.1}},
    "Lamb": {"Lamb": {"learning_rate": 0.01}},
    "Adafactor": {"Adafactor": {"learning_rate": 0.01}},
    "Muon": {"Muon": {"exclude_layers": ["predictions"]}},
    "ScheduleFreeAdamW": {"ScheduleFreeAdamW": {"warmup_steps": 10}},
    "moving average": {"AdamW": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 20}},
    "accumulation": {"SGD": {"learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 4}},
}
AVERAGED = {"Nadam": {"use_ema": True, "ema_momentum": 0.9, "gradient_accumulation_steps": 2}}

RECIPES = {
    **{f"optimizer {name}": on_mlp(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()},
    **{f"schedule {name}": on_mlp(optimizer={"SGD": {"learning_rate": {name: arguments}, "momentum": 0.9}})
       for name, arguments in SCHEDULES.items()},
    "class and sample weights": Case("mlp", MLP, SPARSE | {"class_weight": {0: 2.0, 2: 0.5}}, sample_weight=True),
    "last partial batch dropped": on_mlp(drop_last=True),
    "frozen layers and multipliers": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20, "learning_rate_multipliers": {"hidden_1/*": 0.1, "norm_*": 3.0}},
        {"name": "b", "steps": 25, "epochs": 20, "freeze": ["hidden_1", "norm_1"], "optimizer": "SGD"}]),
    "second phase goes on with Adam": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20}, {"name": "b", "steps": 25, "epochs": 20}]),
    "second phase goes on with averages and sums": on_mlp(optimizer=AVERAGED, phases=[
        {"name": "a", "steps": 25, "epochs": 20}, {"name": "b", "steps": 25, "epochs": 20}]),
    "moving average through fit": Case(
        "mlp", MLP, SPARSE | {"optimizer": AVERAGED}, execution={"tier": "idiomatic", "random": "tape"}),
    "Adafactor on convolutions": Case("cnn", CNN, SPARSE | {"optimizer": {"Adafactor": {"learning_rate": 0.01}}}),
    "Muon on recurrent biases": Case("gru_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE | {"optimizer": "Muon"}),
    "loss generalized cross-entropy": on_mlp(loss="categorical_generalized_cross_entropy"),
    "loss summed": on_mlp(
        loss={"SparseCategoricalCrossentropy": {"reduction": "sum"}}, optimizer={"SGD": {"learning_rate": 0.01}}),
    "loss over the sum of weights": Case(
        "mlp", MLP, {"loss": {"SparseCategoricalCrossentropy": {"reduction": "mean_with_sample_weight"}}},
        sample_weight=True),
    "head replaced": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20},
        {"name": "b", "steps": 25, "epochs": 20, "optimizer": "Adam",
         "replace": {"predictions": {"Dense": {"units": 5, "activation": "softmax"}}}}]),
    "XLA": Case("mlp", MLP, SPARSE, execution={"compile": "xla"}),
}
CASES = MODELS | RECIPES


def job(case: Case, backend: str) -> Any:
    """The training of a case; data and everything else follow from fixed seeds."""
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.models import load_model
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe
    from harness.training.run import Job

    spec = load_model(case.model, **case.params)
    rng = np.random.default_rng(5)
    shape = (EXAMPLES, *spec.inputs[0].shape[1:])
    if spec.inputs[0].dtype == "int32":
        # Id 0 is padding: some at the end of most examples, never everywhere.
        x = rng.integers(1, 12, shape).astype(np.int32)
        x[np.arange(shape[1]) >= rng.integers(2, shape[1] + 1, (EXAMPLES, 1))] = 0
    else:
        x = rng.normal(size=shape)
    y = rng.integers(0, 3, EXAMPLES)
    weight = rng.uniform(0.5, 2, EXAMPLES) if case.sample_weight else None
    recipe = {"batch_size": BATCH, "optimizer": "Adam", **case.recipe}
    recipe.setdefault("phases", [{"name": "only", "epochs": 20, "steps": STEPS}])
    execution = Execution(**{"precision": "float64", "compile": "none", "device": "cpu", **case.execution})
    if backend == "pytorch" and execution.compile == "xla":
        execution = Execution(precision="float64", compile="none", device="cpu")
    data = from_arrays(x, y, sample_weight=weight)
    return Job(spec, Recipe.parse(recipe), data, load_backend(backend), execution, seed=3)


def main() -> None:
    from harness.training.run import train

    backend, names, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    arrays = {}
    for name in names:
        training = train(job(CASES[name], backend))
        arrays[f"{name}|losses"] = np.concatenate([losses for phase in training.phases for losses in phase.losses])
        arrays |= {f"{name}|weight {weight}": array for weight, array in training.state.weights.items()}
        arrays |= {f"{name}|slot {slot} {weight}": array
                   for slot, kept in training.state.slots.items() for weight, array in kept.items()}
    np.savez(out, **arrays)


if __name__ == "__main__":
    main()
