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

STEPS, BATCH = 50, 8
# With a partial batch at the end of an epoch, and without: a second size is traced by itself, which takes the longest.
EXAMPLES, EVEN = 60, 56


@dataclass(frozen=True)
class Case:
    """model: a name in the library, or a model as plain data. tested: the loss on held-out data is compared too."""

    model: str | dict[str, Any]
    params: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)
    sample_weight: bool = False
    execution: dict[str, Any] = field(default_factory=dict)
    tested: bool = False
    examples: int = EXAMPLES


SPARSE = {"loss": "sparse_categorical_crossentropy"}
# A small network with everything on: dropout, batch norm, L2.
MLP = {"input_shape": [6, 6], "num_classes": 3, "units": [8, 8], "dropout": 0.3, "batch_normalization": True,
       "l2": 0.01}
CNN = {"input_shape": [9, 9], "num_classes": 3, "filters": [4, 6], "units": 8, "dropout": 0.3,
       "batch_normalization": True, "l2": 0.01}
SEQUENCE = {"input_shape": [7], "num_classes": 3, "vocabulary": 12, "embedding": 5, "dropout": 0.2, "mask_zero": True}
TRANSFORMER = {"input_shape": [7], "num_classes": 3, "vocabulary": 12, "width": 8, "heads": 2, "feedforward": 12,
               "depth": 1, "dropout": 0.2}


def on_mlp(examples: int = EVEN, **recipe: Any) -> Case:
    return Case("mlp", MLP, SPARSE | recipe, examples=examples)


MODELS = {
    "model mlp_64_64": Case("mlp_64_64", {"input_shape": [6, 6], "num_classes": 3}, SPARSE),
    "model mlp_128_64": Case("mlp_128_64", {"input_shape": [6, 6], "num_classes": 3}, SPARSE),
    "model simple_cnn": Case("simple_cnn", {"input_shape": [8, 8], "num_classes": 3},
                             {"loss": {"SparseCategoricalCrossentropy": {"from_logits": True}}}),
    "model mlp": Case("mlp", MLP, SPARSE),
    "model cnn": Case("cnn", CNN, SPARSE),
    "model resnet": Case(
        "resnet", {"input_shape": [8, 8, 2], "num_classes": 3, "depth": 8, "filters": 4, "l2": 1e-3}, SPARSE,
        examples=EVEN),
    "model lstm_classifier": Case("lstm_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE),
    "model gru_classifier": Case("gru_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE, examples=EVEN),
    "model transformer_encoder": Case("transformer_encoder", TRANSFORMER, SPARSE, examples=EVEN),
    "model transformer_encoder masked": Case(
        "transformer_encoder", TRANSFORMER | {"mask_zero": True}, SPARSE, examples=EVEN),
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

MAX_NORM = {"MaxNorm": {"max_value": 0.8, "axis": [0, 1, 2]}}
MIN_MAX_NORM = {"MinMaxNorm": {"min_value": 0.3, "max_value": 0.5, "rate": 0.7, "axis": 0}}
# Every constraint, on kernels that are laid out differently in the two frameworks.
CONSTRAINED = {
    "name": "constrained", "inputs": [{"name": "x", "shape": [6, 6, 2]}],
    "layers": [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu", "kernel_constraint": MAX_NORM,
                    "bias_constraint": "NonNeg"}},
        {"BatchNormalization": {"gamma_constraint": "NonNeg", "beta_constraint": {"MaxNorm": {"axis": None}}}},
        {"DepthwiseConv2D": {"kernel_size": 2, "depth_multiplier": 2,
                             "depthwise_constraint": {"UnitNorm": {"axis": [0, 1]}}}},
        {"Flatten": {}},
        {"Dense": {"units": 8, "activation": "tanh", "kernel_constraint": {"UnitNorm": {"axis": -1}},
                   "kernel_regularizer": "OrthogonalRegularizer", "name": "hidden"}},
        {"Dense": {"units": 3, "activation": "softmax", "kernel_constraint": MIN_MAX_NORM,
                   "bias_constraint": {"MaxNorm": {"max_value": 0.05}},
                   "kernel_regularizer": {"OrthogonalRegularizer": {"factor": 0.3, "mode": "columns"}}}},
    ],
}
# Activity regularizers: of convolutions, of a layer called twice, of one with several outputs, of attention (where
# Keras regularizes the projections), inside of a wrapper, of the softmax whose loss is computed from the logits.
ACTIVE = {
    "name": "active", "inputs": [{"name": "x", "shape": [5, 4]}],
    "layers": [
        {"Conv1D": {"filters": 4, "kernel_size": 2, "padding": "same", "activity_regularizer": "L1", "name": "conv"}},
        {"Dense": {"units": 4, "activation": "relu", "name": "shared",
                   "activity_regularizer": {"L1L2": {"l1": 0.02, "l2": 0.03}}}},
        {"call": {"layer": "shared"}},
        {"MultiHeadAttention": {"num_heads": 2, "key_dim": 2, "activity_regularizer": {"L2": {"l2": 0.05}},
                                "use_gate": True, "inputs": ["shared@1", "conv"], "name": "attention"}},
        {"GroupQueryAttention": {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1,
                                 "activity_regularizer": "L2", "inputs": ["attention", "shared"]}},
        {"LSTM": {"units": 5, "return_state": True, "activity_regularizer": {"L2": {"l2": 0.1}}, "name": "lstm"}},
        {"ActivityRegularization": {"l1": 0.05, "l2": 0.01, "inputs": ["lstm:2"], "name": "cell"}},
        {"Concatenate": {"inputs": ["lstm", "cell"]}},
        {"SpectralNormalization": {"layer": {"Dense": {"units": 6, "activity_regularizer": "L1"}},
                                   "activity_regularizer": "L2", "power_iterations": 2}},
        {"Dense": {"units": 3, "activation": "softmax", "activity_regularizer": {"L2": {"l2": 0.5}}}},
    ],
}
SMALL = {
    "name": "small", "inputs": [{"name": "x", "shape": [4]}],
    "layers": [
        {"Dense": {"units": 6, "activation": "relu", "activity_regularizer": "L1", "name": "hidden"}},
        {"BatchNormalization": {"renorm": True, "renorm_clipping": {"rmax": 1.5, "rmin": 0.5, "dmax": 1.0},
                                "momentum": 0.9, "renorm_momentum": 0.8, "activity_regularizer": "L2"}},
        {"SpectralNormalization": {"layer": {"Dense": {"units": 3, "activation": "softmax"}}}},
    ],
}
MOMENTUM = {"SGD": {"learning_rate": 0.05, "momentum": 0.9}}
RESTRICTED = {
    "constraints": Case(CONSTRAINED, {}, SPARSE | {"optimizer": MOMENTUM}, tested=True),
    "constraints, AdamW": Case(CONSTRAINED, {}, SPARSE | {"optimizer": {"AdamW": {"learning_rate": 0.005}}},
                               examples=EVEN),
    "constraints while gradients accumulate": Case(CONSTRAINED, {}, SPARSE | {
        "optimizer": {"SGD": {"learning_rate": 0.3, "gradient_accumulation_steps": 3, "weight_decay": 0.1}}}),
    "constraints and averages": Case(CONSTRAINED, {}, SPARSE | {
        "optimizer": {"SGD": {"learning_rate": 0.3, "use_ema": True, "ema_momentum": 0.8,
                              "ema_overwrite_frequency": 7}}}, examples=EVEN),
    "constraints of frozen layers, under XLA": Case(CONSTRAINED, {}, SPARSE | {"optimizer": MOMENTUM, "phases": [
        {"name": "a", "steps": 25, "epochs": 20, "freeze": ["conv2d", "hidden"]},
        {"name": "b", "steps": 25, "epochs": 20, "learning_rate_multipliers": {"hidden/*": 0.3}}]},
        execution={"compile": "xla"}, examples=EVEN),
    "activity": Case(ACTIVE, {}, SPARSE, sample_weight=True, tested=True),
    "activity through fit": Case(SMALL, {}, SPARSE, execution={"tier": "idiomatic"}, tested=True),
    "activity of frozen layers": Case(SMALL, {}, SPARSE | {"phases": [
        {"name": "a", "steps": 50, "epochs": 20, "freeze": ["hidden", "batch_normalization"]}]}, tested=True,
        examples=EVEN),
    "renorm and spectral normalization, under XLA": Case(
        SMALL, {}, SPARSE | {"optimizer": MOMENTUM}, execution={"compile": "xla"}, tested=True, examples=EVEN),
}

RECIPES = {
    **{f"optimizer {name}": on_mlp(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()},
    **{f"schedule {name}": on_mlp(optimizer={"SGD": {"learning_rate": {name: arguments}, "momentum": 0.9}})
       for name, arguments in SCHEDULES.items()},
    "class and sample weights": Case("mlp", MLP, SPARSE | {"class_weight": {0: 2.0, 2: 0.5}}, sample_weight=True),
    "last partial batch dropped": on_mlp(EXAMPLES, drop_last=True),
    "frozen layers and multipliers": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20, "learning_rate_multipliers": {"hidden_1/*": 0.1, "norm_*": 3.0}},
        {"name": "b", "steps": 25, "epochs": 20, "freeze": ["hidden_1", "norm_1"], "optimizer": "SGD"}]),
    "second phase goes on with Adam": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20}, {"name": "b", "steps": 25, "epochs": 20}]),
    "second phase goes on with averages and sums": on_mlp(optimizer=AVERAGED, phases=[
        {"name": "a", "steps": 25, "epochs": 20}, {"name": "b", "steps": 25, "epochs": 20}]),
    "moving average through fit": Case(
        "mlp", MLP, SPARSE | {"optimizer": AVERAGED}, execution={"tier": "idiomatic", "random": "tape"}),
    "Adafactor on convolutions": Case(
        "cnn", CNN, SPARSE | {"optimizer": {"Adafactor": {"learning_rate": 0.01}}}, examples=EVEN),
    "Muon on recurrent biases": Case(
        "gru_classifier", SEQUENCE | {"units": [6, 6]}, SPARSE | {"optimizer": "Muon"}, examples=EVEN),
    "loss generalized cross-entropy": on_mlp(loss="categorical_generalized_cross_entropy"),
    "loss summed": on_mlp(
        EXAMPLES, loss={"SparseCategoricalCrossentropy": {"reduction": "sum"}},
        optimizer={"SGD": {"learning_rate": 0.01}}),
    "loss over the sum of weights": Case(
        "mlp", MLP, {"loss": {"SparseCategoricalCrossentropy": {"reduction": "mean_with_sample_weight"}}},
        sample_weight=True),
    "head replaced": on_mlp(phases=[
        {"name": "a", "steps": 25, "epochs": 20},
        {"name": "b", "steps": 25, "epochs": 20, "optimizer": "Adam",
         "replace": {"predictions": {"Dense": {"units": 5, "activation": "softmax"}}}}]),
    "XLA": Case("mlp", MLP, SPARSE, execution={"compile": "xla"}),
}

# Cells that draw masks, of which one is frozen, in both directions and by themselves.
STACKED = {
    "name": "stacked", "inputs": [{"name": "x", "shape": [6, 4]}],
    "layers": [
        {"Bidirectional": {"name": "both", "layer": {"RNN": {"return_sequences": True, "cell": {"StackedRNNCells": {
            "cells": [{"LSTMCell": {"units": 4, "dropout": 0.2}},
                      {"GRUCell": {"units": 3, "recurrent_dropout": 0.3, "recurrent_constraint": "UnitNorm"}}]}}}}}},
        {"RNN": {"cell": {"StackedRNNCells": {"cells": [
            {"LSTMCell": {"units": 5, "dropout": 0.3, "recurrent_dropout": 0.2}},
            {"SimpleRNNCell": {"units": 4, "trainable": False}},
            {"GRUCell": {"units": 4, "dropout": 0.2, "kernel_regularizer": "L2"}}]}}, "name": "stack"}},
        {"Dense": {"units": 3, "activation": "softmax"}},
    ],
}
ROWS = {
    "name": "rows", "inputs": [{"name": "x", "shape": [4, 7, 2]}],
    "layers": [
        {"ConvLSTM1D": {"filters": 3, "kernel_size": 3, "padding": "same", "return_sequences": True, "dropout": 0.2,
                        "recurrent_dropout": 0.3, "name": "first"}},
        {"TimeDistributed": {"layer": "BatchNormalization", "name": "norm"}},
        {"ConvLSTM1D": {"filters": 2, "kernel_size": 2, "strides": 2, "activation": "relu", "name": "second"}},
        {"Flatten": {}},
        {"Dense": {"units": 3, "activation": "softmax"}},
    ],
}
STEPWISE = {
    "name": "stepwise", "inputs": [{"name": "x", "shape": [5, 4]}],
    "layers": [
        {"TimeDistributed": {"layer": {"Dense": {"units": 6, "activation": "tanh"}}, "name": "each"}},
        {"TimeDistributed": {"layer": {"Dropout": {"rate": 0.4}}, "name": "drop"}},
        {"TimeDistributed": {"layer": {"GaussianNoise": {"stddev": 0.2}}, "name": "noise"}},
        {"LSTM": {"units": 4, "name": "read"}},
        {"Dense": {"units": 3, "activation": "softmax"}},
    ],
}
RECURRENT = {
    "stacked cells": Case(STACKED, {}, SPARSE, tested=True, examples=EVEN),
    "stacked cells through fit": Case(
        STACKED, {}, SPARSE, execution={"tier": "idiomatic", "random": "tape"}, tested=True, examples=EVEN),
    "convolutional cells": Case(ROWS, {}, SPARSE, tested=True, examples=EVEN),
    "layers at each step": Case(STEPWISE, {}, SPARSE, tested=True, examples=EVEN),
}
CASES = MODELS | RECIPES | RESTRICTED | RECURRENT


def job(case: Case, backend: str) -> Any:
    """The training of a case; data and everything else follow from fixed seeds."""
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.models import load_model
    from harness.spec.execution import Execution
    from harness.spec.model import ModelSpec
    from harness.spec.recipe import Recipe
    from harness.training.run import Job

    spec = ModelSpec.from_data(case.model) if isinstance(case.model, dict) else load_model(case.model, **case.params)
    rng = np.random.default_rng(5)
    examples = case.examples
    shape = (examples, *spec.inputs[0].shape[1:])
    if spec.inputs[0].dtype == "int32":
        # Id 0 is padding: some at the end of most examples, never everywhere.
        x = rng.integers(1, 12, shape).astype(np.int32)
        x[np.arange(shape[1]) >= rng.integers(2, shape[1] + 1, (examples, 1))] = 0
    else:
        x = rng.normal(size=shape)
    y = rng.integers(0, 3, examples)
    weight = rng.uniform(0.5, 2, examples) if case.sample_weight else None
    recipe = {"batch_size": BATCH, "optimizer": "Adam", **case.recipe}
    recipe.setdefault("phases", [{"name": "only", "epochs": 20, "steps": STEPS}])
    execution = Execution(**{"precision": "float64", "compile": "none", "device": "cpu", **case.execution})
    if backend == "pytorch" and execution.compile == "xla":
        execution = Execution(precision="float64", compile="none", device="cpu")
    data = from_arrays(x, y, sample_weight=weight, test=(x[::-2] * 0.5, y[::-2]) if case.tested else None)
    return Job(spec, Recipe.parse(recipe), data, load_backend(backend), execution, seed=3)


def main() -> None:
    from harness.training.run import train

    backend, names, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    arrays = {}
    for name in names:
        training = train(job(CASES[name], backend))
        arrays[f"{name}|losses"] = np.concatenate([losses for phase in training.phases for losses in phase.losses])
        if training.test is not None:
            arrays |= {f"{name}|test {metric}": np.asarray(value) for metric, value in training.test.items()}
        arrays |= {f"{name}|weight {weight}": array for weight, array in training.state.weights.items()}
        arrays |= {f"{name}|slot {slot} {weight}": array
                   for slot, kept in training.state.slots.items() for weight, array in kept.items()}
    np.savez(out, **arrays)


if __name__ == "__main__":
    main()
