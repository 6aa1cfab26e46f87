"""The trainings that faults are planted into: small models that hold, between them, all that a fault needs.

A host is data: a model, a recipe and arrays drawn from a fixed seed. In float64 each certifies as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

EXAMPLES = 45


@dataclass(frozen=True)
class Host:
    """model, recipe: as plain data. arrays: draws (x, y) or (x, y, sample_weight)."""

    model: dict[str, Any]
    recipe: dict[str, Any]
    arrays: Callable[[np.random.Generator], tuple[Any, ...]]

    def data(self) -> tuple[Any, ...]:
        return self.arrays(np.random.default_rng(11))

    def whole_recipe(self) -> dict[str, Any]:
        """The recipe of a whole run: 48 steps, every sixth of a partial batch."""
        return {"batch_size": 8, "epochs": 8, **self.recipe}


def _labels(rng: np.random.Generator, classes: int, *shape: int) -> np.ndarray:
    return rng.integers(0, classes, (EXAMPLES, *shape)).astype(np.int32)


def _numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=(EXAMPLES, *shape))


def _weights(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.3, 2.0, EXAMPLES)


def _classified(*shape: int, classes: int = 4) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: (_numbers(rng, *shape), _labels(rng, classes))


def _one_hot(rng: np.random.Generator) -> tuple[Any, ...]:
    return _numbers(rng, 6), np.eye(4)[_labels(rng, 4)]


def _padding(rng: np.random.Generator, steps: int) -> np.ndarray:
    """bool [examples, steps]: about a quarter, anywhere; never one of the two in the middle."""
    padded = rng.random((EXAMPLES, steps)) < 0.25
    padded[:, steps // 2:steps // 2 + 2] = False
    return padded


def _words(rng: np.random.Generator) -> tuple[Any, ...]:
    """Id 0 is padding."""
    words = rng.integers(1, 12, (EXAMPLES, 7)).astype(np.int32)
    return np.where(_padding(rng, 7), 0, words).astype(np.int32), _labels(rng, 3)


def _padded_steps(rng: np.random.Generator) -> tuple[Any, ...]:
    steps = np.where(_padding(rng, 6)[..., None], 0.0, _numbers(rng, 6, 4))
    return steps, {"tags": _labels(rng, 3, 6), "value": _numbers(rng, 2)}


SPARSE = "sparse_categorical_crossentropy"

MLP = Host(
    {"name": "mlp", "inputs": [{"name": "x", "shape": [6]}], "layers": [
        {"Dense": {"units": 8, "activation": "gelu", "name": "first", "kernel_regularizer": {"L2": {"l2": 0.02}}}},
        {"Dense": {"units": 8, "name": "square", "activity_regularizer": {"L2": {"l2": 0.02}}}},
        {"LeakyReLU": {"name": "leaky"}},
        {"Dense": {"units": 6, "name": "third"}},
        {"PReLU": {"name": "prelu"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}}, "optimizer": {"Adam": {"learning_rate": 0.01}}},
    _one_hot)

ADAMW = Host(
    {"name": "adamw", "inputs": [{"name": "x", "shape": [6]}], "layers": [
        {"Dense": {"units": 8, "activation": "tanh", "name": "first"}},
        {"Dense": {"units": 8, "activation": "silu", "name": "second"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": SPARSE, "optimizer": {"AdamW": {
        "learning_rate": {"CosineDecay": {"initial_learning_rate": 0.001, "decay_steps": 40, "warmup_target": 0.02,
                                          "warmup_steps": 6}},
        "weight_decay": 0.05, "exclude_from_weight_decay": ["bias"], "global_clipnorm": 0.3, "use_ema": True,
        "ema_momentum": 0.9}}},
    _classified(6))

SGD = Host(
    {"name": "sgd", "inputs": [{"name": "x", "shape": [6]}], "layers": [
        {"Dense": {"units": 8, "activation": "tanh", "name": "shared",
                   "kernel_constraint": {"MaxNorm": {"max_value": 0.8}}}},
        {"Dense": {"units": 8, "activation": "relu", "name": "second"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "label"}},
        {"Dense": {"units": 1, "name": "value", "inputs": ["second"]}},
    ], "outputs": ["label", "value"]},
    {"loss": [SPARSE, {"Huber": {"delta": 0.5}}], "loss_weights": [1.0, 0.3],
     "optimizer": {"SGD": {
         "learning_rate": {"ExponentialDecay": {"initial_learning_rate": 0.05, "decay_steps": 5, "decay_rate": 0.7,
                                                "staircase": True}},
         "momentum": 0.9, "nesterov": True, "clipnorm": 0.2}}},
    lambda rng: (_numbers(rng, 6), {"label": _labels(rng, 4), "value": _numbers(rng, 1)}, _weights(rng)))

RMSPROP = Host(
    {"name": "rmsprop", "inputs": [{"name": "x", "shape": [6]}], "layers": [
        {"Dense": {"units": 8, "activation": "elu", "name": "first"}},
        {"Dense": {"units": 1, "name": "value"}},
    ]},
    {"loss": "mse", "optimizer": {"RMSprop": {
        "learning_rate": {"ExponentialDecay": {"initial_learning_rate": 0.01, "decay_steps": 20, "decay_rate": 0.5}},
        "centered": True, "momentum": 0.8}}},
    lambda rng: (_numbers(rng, 6), _numbers(rng, 1)))

CNN = Host(
    {"name": "cnn", "inputs": [{"name": "image", "shape": [12, 12, 2]}], "layers": [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "name": "conv"}},
        {"BatchNormalization": {"momentum": 0.95, "name": "norm"}},
        {"Activation": {"activation": "relu", "name": "relu"}},
        {"AveragePooling2D": {"pool_size": 3, "strides": 2, "padding": "same", "name": "average"}},
        {"Conv2D": {"filters": 6, "kernel_size": 2, "padding": "same", "name": "wide"}},
        {"GroupNormalization": {"groups": 3, "name": "groups"}},
        {"MaxPooling2D": {"pool_size": 2, "strides": 2, "padding": "same", "name": "maximum"}},
        {"Flatten": {"name": "flatten"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": SPARSE, "optimizer": {"SGD": {"learning_rate": 0.05, "momentum": 0.9}}},
    _classified(12, 12, 2))

FINETUNE = Host(
    {"name": "finetune", "inputs": [{"name": "image", "shape": [6, 6, 3]}], "layers": [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same", "use_bias": False, "name": "stem"}},
        {"BatchNormalization": {"momentum": 0.9, "name": "stem_norm"}},
        {"Activation": {"activation": "relu", "name": "stem_relu"}},
        {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same", "use_bias": False, "name": "block"}},
        {"BatchNormalization": {"momentum": 0.9, "name": "block_norm"}},
        {"Add": {"inputs": ["block_norm", "stem_relu"], "name": "add"}},
        {"GlobalAveragePooling2D": {"name": "mean"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "head"}},
    ]},
    {"loss": SPARSE, "optimizer": {"Adam": {"learning_rate": 0.01}}, "phases": [
        {"name": "pretrain", "epochs": 4},
        {"name": "finetune", "epochs": 4, "freeze": ["stem", "stem_norm"], "replace": {"head": None},
         "optimizer": {"Adam": {"learning_rate": 0.003}}, "learning_rate_multipliers": {"block/*": 0.3}},
    ]},
    _classified(6, 6, 3))

LSTM = Host(
    {"name": "lstm", "inputs": [{"name": "words", "shape": [7], "dtype": "int32"}], "layers": [
        {"Embedding": {"input_dim": 12, "output_dim": 5, "name": "embedding"}},
        {"Bidirectional": {"layer": {"LSTM": {"units": 4, "return_sequences": True}}, "name": "both"}},
        {"LSTM": {"units": 5, "return_sequences": True, "name": "lstm"}},
        {"Dense": {"units": 1, "name": "scores"}},
        {"Softmax": {"axis": 1, "name": "shares"}},
        {"Multiply": {"inputs": ["lstm", "shares"], "name": "shared_out"}},
        {"GlobalAveragePooling1D": {"name": "mean"}},
        {"Dense": {"units": 3, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": SPARSE, "optimizer": {"Adam": {"learning_rate": 0.01, "amsgrad": True}}},
    _words)

GRU = Host(
    {"name": "gru", "inputs": [{"name": "steps", "shape": [6, 4]}], "layers": [
        {"Masking": {"name": "masking"}},
        {"GRU": {"units": 5, "return_sequences": True, "name": "gru"}},
        {"Dense": {"units": 3, "activation": "softmax", "name": "tags"}},
        {"GlobalAveragePooling1D": {"inputs": ["gru"], "name": "mean"}},
        {"Dense": {"units": 2, "name": "value"}},
    ], "outputs": ["tags", "value"]},
    {"loss": [SPARSE, "mse"], "optimizer": {"SGD": {"learning_rate": 0.1, "gradient_accumulation_steps": 2}}},
    _padded_steps)

TRANSFORMER = Host(
    {"name": "transformer", "inputs": [{"name": "words", "shape": [7], "dtype": "int32"}], "layers": [
        {"Embedding": {"input_dim": 12, "output_dim": 8, "mask_zero": True, "name": "embedding"}},
        {"MultiHeadAttention": {"num_heads": 2, "key_dim": 3, "inputs": ["embedding", "embedding"],
                                "arguments": {"use_causal_mask": True}, "name": "attention"}},
        {"Add": {"inputs": ["embedding", "attention"], "name": "add_1"}},
        {"LayerNormalization": {"name": "norm_1"}},
        {"Dense": {"units": 10, "activation": "gelu", "name": "feedforward_1"}},
        {"Dense": {"units": 8, "name": "feedforward_2"}},
        {"Add": {"inputs": ["norm_1", "feedforward_2"], "name": "add_2"}},
        {"LayerNormalization": {"name": "norm_2"}},
        {"GlobalAveragePooling1D": {"name": "mean"}},
        {"Dense": {"units": 3, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": SPARSE, "optimizer": {"Adam": {"learning_rate": 0.01}}},
    _words)

DROPOUT = Host(
    {"name": "dropout", "inputs": [{"name": "x", "shape": [6]}], "layers": [
        {"Dense": {"units": 8, "activation": "relu", "name": "first"}},
        {"Dropout": {"rate": 0.3, "name": "drop_1"}},
        {"Dense": {"units": 8, "activation": "relu", "name": "second"}},
        {"Dropout": {"rate": 0.4, "name": "drop_2"}},
        {"GaussianNoise": {"stddev": 0.2, "name": "noise"}},
        {"Dense": {"units": 4, "activation": "softmax", "name": "predictions"}},
    ]},
    {"loss": SPARSE, "optimizer": {"Adam": {"learning_rate": 0.01}}},
    _classified(6))

HOSTS = {host.model["name"]: host for host in (
    MLP, ADAMW, SGD, RMSPROP, CNN, FINETUNE, LSTM, GRU, TRANSFORMER, DROPOUT)}
