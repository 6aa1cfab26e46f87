"""Random recipes and data for random models: heads with their losses and metrics, optimizers, schedules, phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import layers
from harness.spec.layers.base import Shape
from harness.spec.model import ModelSpec
from harness.spec.optimizers import OPTIMIZERS
from tests.conformance.random_layers import Draw

CLASSES = ("Precision", "Recall", "AUC", {"AUC": {"curve": "PR"}}, {"Precision": {"top_k": 1}})
QUANTITIES = ("mse", "mae", "RootMeanSquaredError")


@dataclass(frozen=True)
class Head:
    """An output and what it learns. kind: labels, one-hot, binary, values, shares, groups (labels of unit vectors) or
    spoken (shorter sequences of labels, for CTC). squeezed: targets without the last dimension, of size 1."""

    tensor: Any
    kind: str
    loss: Any
    metrics: tuple[Any, ...]
    squeezed: bool = False

    def targets(self, rng: np.random.Generator, shape: Shape, examples: int) -> np.ndarray:
        size = (examples, *(value or 1 for value in shape[1:]))
        if self.kind == "labels":
            return rng.integers(0, size[-1], size[:-1])
        if self.kind == "groups":
            return rng.integers(0, 3, examples)
        if self.kind == "spoken":
            length = (size[1] + 1) // 2  # so that there are steps enough for blanks between equal labels
            return rng.integers(1, size[2], (examples, length)) * (
                np.arange(length) < rng.integers(0, length + 1, (examples, 1)))
        if self.kind == "one-hot":
            return np.eye(size[-1])[rng.integers(0, size[-1], size[:-1])]
        if self.kind == "binary":
            drawn = rng.integers(0, 2, size).astype(float)
        elif self.kind == "shares":
            drawn = rng.dirichlet(np.ones(size[-1]), size[:-1])
        else:
            drawn = rng.normal(size=size)
        return drawn[..., 0] if self.squeezed else drawn


def head(d: Draw, tensor: Any) -> Head:
    kind = d.one(("labels", "labels", "one-hot", "one-hot", "binary", "values", "values", "shares", "groups", "spoken"))
    return {"labels": _labels, "one-hot": _one_hot, "binary": _binary, "values": _values, "shares": _shares,
            "groups": _groups, "spoken": _spoken}[kind](d, tensor)


def _reduced(d: Draw, loss: Any) -> Any:
    """The loss, now and then with another reduction."""
    if not d.chance(0.15):
        return loss
    name, arguments = next(iter(loss.items())) if isinstance(loss, dict) else (loss, {})
    return {name: {**arguments, "reduction": d.one(("sum", "mean", "mean_with_sample_weight"))}}


def _probabilities(d: Draw, tensor: Any, activation: str) -> tuple[Any, bool]:
    """(what the loss sees, whether it is logits): activated in a layer, after it, or not at all."""
    as_layer = activation == "softmax" and len(tensor.shape) == 2  # of more steps it would be refused if masked
    way = d.one(("inside", "inside", "after", "logits", "layer" if as_layer else "after"))
    units = d.whole(2, 4) if activation == "softmax" or d.chance(0.3) else 1
    x = layers.Dense(units, activation=activation if way == "inside" else None)(tensor)
    x = layers.Activation(activation)(x) if way == "after" else layers.Softmax()(x) if way == "layer" else x
    return (layers.Dropout(0.2)(x) if d.chance(0.05) else x), way == "logits"


def _labels(d: Draw, tensor: Any) -> Head:
    x, logits = _probabilities(d, tensor, "softmax")
    options = {"from_logits": True} if logits else {}
    options |= {"ignore_class": 0} if d.chance(0.15) else {}
    loss = {"SparseCategoricalCrossentropy": options}
    if not logits and d.chance(0.15):
        loss = {"CategoricalGeneralizedCrossEntropy": d.some(q=lambda: 0.7)}
    metrics = ["accuracy", "acc", "sparse_categorical_accuracy", {"SparseTopKCategoricalAccuracy": {"k": 2}}]
    metrics += ["F1Score"] if len(x.shape) == 2 else []
    return Head(x, "labels", _reduced(d, loss), _some(d, *metrics, *CLASSES[:3]))


def _one_hot(d: Draw, tensor: Any) -> Head:
    x, logits = _probabilities(d, tensor, "softmax")
    options = {"from_logits": True} if logits else {}
    options |= {"label_smoothing": 0.1} if d.chance(0.3) else {}
    if d.chance(0.1) and len(x.shape) > 2:
        options["axis"] = 1
    metrics = ["accuracy", "categorical_accuracy", {"TopKCategoricalAccuracy": {"k": 2}}, *CLASSES]
    metrics += [{"F1Score": {"average": "macro"}}] if len(x.shape) == 2 else []
    loss = d.one((
        {"CategoricalCrossentropy": options}, {"CategoricalCrossentropy": options},
        {"CategoricalFocalCrossentropy": {key: item for key, item in options.items() if key != "axis"}},
        "CategoricalHinge", {"Dice": {"axis": -1}}, "Tversky",
    ))
    return Head(x, "one-hot", _reduced(d, loss), _some(d, *metrics))


def _binary(d: Draw, tensor: Any) -> Head:
    x, logits = _probabilities(d, tensor, "sigmoid")
    options = {"from_logits": True} if logits else {}
    options |= {"label_smoothing": 0.1} if d.chance(0.3) else {}
    name = d.one(("BinaryCrossentropy", "BinaryCrossentropy", "BinaryFocalCrossentropy", "Hinge", "SquaredHinge"))
    return Head(x, "binary", _reduced(d, {name: {} if "Hinge" in name else options}),
                _some(d, "accuracy", "BinaryAccuracy", {"BinaryAccuracy": {"threshold": 0.3}}, *CLASSES[:4]),
                squeezed=x.shape[-1] == 1 and d.chance(0.4))


def _values(d: Draw, tensor: Any) -> Head:
    x = tensor
    if tensor.call is None or d.chance(0.6):
        x = layers.Dense(d.whole(1, 2), activation=d.one((None, "tanh")))(x)
    metrics = [*QUANTITIES, *(["R2Score"] if len(x.shape) == 2 else [])]
    loss = d.one(("mse", "mse", "mae", {"Huber": {"delta": 0.5}}, "huber", "mape", "msle", "log_cosh",
                  "cosine_similarity"))
    return Head(x, "values", _reduced(d, loss), _some(d, *metrics), squeezed=x.shape[-1] == 1 and d.chance(0.4))


def _shares(d: Draw, tensor: Any) -> Head:
    x, logits = _probabilities(d, tensor, "softmax")
    return Head(layers.Softmax()(x) if logits else x, "shares", d.one(("kld", "poisson")), _some(d, *QUANTITIES))


def _groups(d: Draw, tensor: Any) -> Head:
    x = tensor if len(tensor.shape) == 2 else layers.Flatten()(tensor)
    x = layers.UnitNormalization()(layers.Dense(d.whole(2, 4))(x))
    return Head(x, "groups", {"Circle": {"gamma": d.one((2.0, 10.0)), **d.flags("remove_diagonal")}}, ())


def _spoken(d: Draw, tensor: Any) -> Head:
    x = tensor if len(tensor.shape) == 3 else layers.RepeatVector(d.whole(1, 4))(layers.Flatten()(tensor))
    return Head(layers.Dense(d.whole(2, 4))(x), "spoken", "CTC", _some(d, {"WordErrorRate": {"decode": "ctc"}}))


def _some(d: Draw, *options: Any) -> tuple[Any, ...]:
    """Up to two metrics, of different names."""
    return tuple(options[index] for index in d.rng.permutation(len(options))[: d.one((0, 1, 1, 2))])


def learning_rate(d: Draw, rate: float) -> Any:
    if d.chance(0.6):
        return rate
    steps = d.whole(1, 9)
    return d.one((
        {"ExponentialDecay": {"initial_learning_rate": rate, "decay_steps": steps, "decay_rate": 0.7,
                              "staircase": d.chance(0.5)}},
        {"InverseTimeDecay": {"initial_learning_rate": rate, "decay_steps": steps, "decay_rate": 0.7}},
        {"PolynomialDecay": {"initial_learning_rate": rate, "decay_steps": steps, "cycle": d.chance(0.5),
                             "end_learning_rate": d.one((0.0, rate / 3)), "power": d.one((1.0, 2.0, 0.5))}},
        {"PiecewiseConstantDecay": {"boundaries": [1, 1 + steps], "values": [rate, 0.0, rate / 2]}},
        {"CosineDecay": {"initial_learning_rate": 0.0, "decay_steps": steps, "warmup_target": rate,
                         "warmup_steps": d.whole(1, 4), "alpha": 0.1}},
        {"CosineDecayRestarts": {"initial_learning_rate": rate, "first_decay_steps": steps,
                                 "t_mul": d.one((1.0, 2.0)), "m_mul": 0.8}},
    ))


def optimizer(d: Draw, spec: ModelSpec) -> dict[str, Any]:
    name = d.one(("SGD", "SGD", "SGD", "Adam", "Adam", "Adam", *OPTIMIZERS.classes))
    flag = {"SGD": ("nesterov",), "Adam": ("amsgrad",), "AdamW": ("amsgrad",), "RMSprop": ("centered",)}.get(name, ())
    rate = d.one((0.02, 0.005)) * (50 if name == "Adadelta" else 1)
    # Where the learning rate is 0, Ftrl divides by it.
    given: dict[str, Any] = {"learning_rate": rate if name == "Ftrl" else learning_rate(d, rate)}
    given |= d.one(({}, {}, {}, {"use_ema": True, "ema_momentum": 0.8}, {"gradient_accumulation_steps": 2},
                    {"loss_scale_factor": 128.0}))
    given |= {item: True for item in flag if d.chance(0.4)}
    given |= {"momentum": 0.9} if name in ("SGD", "RMSprop") and d.chance(0.6) else {}
    given |= d.one(({}, {}, {"clipnorm": 0.1}, {"clipvalue": 0.01}, {"global_clipnorm": 0.3}))
    if name == "AdamW" or d.chance(0.25):
        given["weight_decay"] = 0.05
        patterns = ("bias", "kernel$", "^" + d.one(spec.layers), "gamma|beta")
        given |= d.some(exclude_from_weight_decay=lambda: [d.one(patterns)])
    return {name: given}


def _phase(d: Draw, spec: ModelSpec, index: int) -> dict[str, Any]:
    phase: dict[str, Any] = {"name": f"phase_{index}", "epochs": d.whole(1, 2), **d.some(
        batch_size=lambda: d.whole(2, 6), drop_last=lambda: True, shuffle=lambda: False, steps=lambda: d.whole(1, 4),
        learning_rate_multipliers=lambda: {d.one(spec.layers) + d.one(("", "*")): d.one((0.1, 0.0, 2.0))})}
    if index:
        phase |= d.some(optimizer=lambda: optimizer(d, spec), freeze=lambda: [d.one(spec.layers)],
                        replace=lambda: {d.one(spec.layers): None}, start_from=lambda: d.one(("tensorflow", "file")))
    if index > 1:
        phase |= d.some(unfreeze=lambda: [d.one(spec.layers)])
    return phase


def recipe(d: Draw, spec: ModelSpec, heads: list[Head], validated: bool) -> dict[str, Any]:
    names, several = spec.output_names, len(heads) > 1
    losses = [item.loss for item in heads]
    if several and d.chance(0.15):
        losses[d.whole(0, len(losses) - 1)] = None
    as_mapping = several and None not in losses and len(set(names)) == len(names) and d.chance(0.4)
    given: dict[str, Any] = {
        "loss": dict(zip(names, losses, strict=True)) if as_mapping else losses if several else losses[0],
        "optimizer": optimizer(d, spec), "batch_size": d.whole(2, 8), "epochs": d.whole(1, 3),
        **d.some(drop_last=lambda: True, shuffle=lambda: False),
    }
    metrics = [list(item.metrics) for item, loss in zip(heads, losses, strict=True) if loss is not None]
    given["metrics"] = metrics if len(metrics) > 1 else metrics[0]
    given |= {"weighted_metrics": given["metrics"]} if d.chance(0.15) else {}
    if several:
        given |= d.some(loss_weights=lambda: [d.one((0.3, 2.0, 1.0)) for _ in heads])
    if len(metrics) == 1 and heads[[loss is not None for loss in losses].index(True)].kind in ("labels", "one-hot"):
        flat = len(heads[0].tensor.shape) == 2
        given |= {"class_weight": {0: 2.0, 1: 0.5}} if d.chance(0.3 if flat else 0.03) else {}
    monitor = "val_loss" if validated else "loss"
    given |= d.some(early_stopping=lambda: {"monitor": monitor, "patience": d.whole(0, 1),
                                            "restore_best_weights": d.chance(0.7)})
    given |= {"keep_best": monitor} if d.chance(0.1) else {}
    if d.chance(0.35):
        given["phases"] = [_phase(d, spec, index) for index in range(d.whole(1, 3))]
    return given
