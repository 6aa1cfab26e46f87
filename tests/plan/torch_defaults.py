"""What torch.nn and torch.optim do by themselves, as JSON; and networks of theirs beside switched specs.

python -m tests.plan.torch_defaults OUT, in a process of its own: PyTorch is loaded here.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import harness
from harness import Input, Model, layers
from harness.plan.defaults import switched
from harness.spec.recipe import Recipe

DRAWS = 40
DOUBLE = torch.float64
MODULES = {
    "linear": lambda: torch.nn.Linear(50, 40),
    "conv": lambda: torch.nn.Conv2d(6, 20, (3, 5)),
    "grouped": lambda: torch.nn.Conv2d(8, 20, 3, groups=4),
    "depthwise": lambda: torch.nn.Conv2d(12, 24, 3, groups=12),
    "transposed": lambda: torch.nn.ConvTranspose2d(6, 10, 3),
    "embedding": lambda: torch.nn.Embedding(60, 30),
    "lstm": lambda: torch.nn.LSTM(7, 25),
    "gru": lambda: torch.nn.GRU(7, 25),
    "rnn": lambda: torch.nn.RNN(7, 25),
    "attention": lambda: torch.nn.MultiheadAttention(32, 4),
    "prelu": lambda: torch.nn.PReLU(),
}
ARGUMENTS = {
    "nn": ("BatchNorm2d", "LayerNorm", "GroupNorm", "LeakyReLU", "PReLU", "AvgPool2d"),
    "optim": ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "Adafactor"),
}


def first_values() -> dict[str, Any]:
    """Largest magnitude and standard deviation of every parameter over many drawings."""
    torch.manual_seed(0)
    found = {}
    for name, make in MODULES.items():
        drawn = [dict(make().named_parameters()) for _ in range(DRAWS)]
        for parameter in drawn[0]:
            values = torch.cat([one[parameter].detach().flatten() for one in drawn])
            found[f"{name}/{parameter}"] = {"largest": values.abs().max().item(), "std": values.std().item()}
    return found


def arguments() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for module, names in ARGUMENTS.items():
        for name in names:
            signature = inspect.signature(getattr(getattr(torch, module), name))
            found[name] = {key: item.default for key, item in signature.parameters.items()
                           if isinstance(item.default, (int, float, tuple))}
    return found


def padded() -> float:
    """Largest difference of a switched spec and torch's layers with padding=k//2, on sizes where Keras is lopsided."""
    x = image = Input((12, 10, 3), name="image")
    x = layers.Conv2D(4, 3, 2, padding="same", name="conv")(x)
    x = layers.MaxPooling2D(3, 1, padding="same", name="still")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    x = layers.DepthwiseConv2D(5, 1, padding="same", name="depthwise")(x)
    spec = Model(image, layers.AveragePooling2D(3, 1, padding="same", name="mean")(x), name="padded")
    recipe = Recipe(loss="mse")
    changed, _ = switched(spec, recipe, ("same_padding", "average_padding"))
    model = harness.build(changed, "pytorch", seed=1, dtype="float64")
    weights = harness.get_weights(model)
    nn = torch.nn
    twin = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, padding=1), nn.MaxPool2d(3, 1, padding=1), nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.AvgPool2d(3, 1, padding=1),
    ).double()
    with torch.no_grad():
        twin[0].weight.copy_(torch.from_numpy(weights["conv/kernel"].transpose(3, 2, 0, 1).copy()))
        twin[0].bias.copy_(torch.from_numpy(weights["conv/bias"]))
        twin[3].weight.copy_(torch.from_numpy(weights["depthwise/kernel"].transpose(2, 3, 0, 1).copy()))
        twin[3].bias.copy_(torch.from_numpy(weights["depthwise/bias"]))
    x_BHWC = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 12, 10, 3)))
    with torch.no_grad():
        ours = model(x_BHWC)
        theirs = twin(x_BHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    unswitched = harness.build(spec, "pytorch", seed=1, dtype="float64")(x_BHWC)
    assert (unswitched - theirs).abs().max().item() > 0.01, "the padding makes no difference here"
    return float((ours - theirs).abs().max())


def two_biases(optimizer: str) -> float:
    """Largest difference of the weights after a training: ours with the switch, nn.LSTM with both biases."""
    units, features, steps, rate = 5, 3, 6, 0.05
    chance = np.random.default_rng(2)
    x, y = chance.normal(size=(12, 4, features)), chance.normal(size=(12, 1))
    x_in = Input((4, features), name="x")
    spec = Model(x_in, layers.Dense(1, name="head")(layers.LSTM(units, name="lstm")(x_in)), name="two")
    tiny = {"epsilon": 1e-14} if optimizer == "Adam" else {}
    recipe = Recipe.parse({"loss": "mse", "optimizer": {optimizer: {"learning_rate": rate, **tiny}}})
    _, changed = switched(spec, recipe, ("recurrent_biases",))
    batches = np.arange(12).reshape(3, 4).repeat(steps // 3, axis=0)
    record = harness.train(spec, changed, (x, y), "pytorch", dtype="float64", batches=batches, seed=3,
                           execution={"compile": "none"})
    first = harness.get_weights(harness.build(spec, "pytorch", seed=3, dtype="float64"))
    lstm, head = torch.nn.LSTM(features, units, batch_first=True).double(), torch.nn.Linear(units, 1).double()
    with torch.no_grad():
        for target, array in ((lstm.weight_ih_l0, first["lstm/kernel"].T), (lstm.bias_ih_l0, first["lstm/bias"]),
                              (lstm.weight_hh_l0, first["lstm/recurrent_kernel"].T),
                              (lstm.bias_hh_l0, np.zeros(4 * units)), (head.weight, first["head/kernel"].T),
                              (head.bias, first["head/bias"])):
            target.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    parameters = [*lstm.parameters(), *head.parameters()]
    made = torch.optim.SGD(parameters, rate) if optimizer == "SGD" else torch.optim.Adam(parameters, rate, eps=1e-14)
    for batch in batches:
        made.zero_grad()
        output = head(lstm(torch.from_numpy(x[batch]))[0][:, -1])
        torch.nn.functional.mse_loss(output, torch.from_numpy(y[batch])).backward()
        made.step()
    pairs = {"lstm/bias": lstm.bias_ih_l0 + lstm.bias_hh_l0, "lstm/kernel": lstm.weight_ih_l0.T,
             "head/bias": head.bias}
    return max(float(np.abs(record.weights[name] - tensor.detach().numpy()).max()) for name, tensor in pairs.items())


def decayed(switch: str) -> float:
    """Largest difference of the weights after a training: ours with the switch, torch.optim.SGD(weight_decay=...)."""
    chance = np.random.default_rng(4)
    x, y = chance.normal(size=(12, 3)), chance.normal(size=(12, 2))
    penalty = {"kernel_regularizer": {"L2": {"l2": 0.25}}} if switch == "penalty_form" else {}
    x_in = Input((3,), name="x")
    hidden = layers.LayerNormalization(name="norm", epsilon=1e-5)(layers.Dense(4, name="hidden", **penalty)(x_in))
    spec = Model(x_in, layers.Dense(2, name="head", **penalty)(hidden), name="decayed")
    given = {"learning_rate": 0.05, "momentum": 0.5, **({} if penalty else {"weight_decay": 0.25})}
    changed, recipe = switched(spec, Recipe.parse({"loss": "mse", "optimizer": {"SGD": given}}), (switch,))
    batches = np.arange(12).reshape(3, 4)
    record = harness.train(changed, recipe, (x, y), "pytorch", dtype="float64", batches=batches, seed=3,
                           execution={"compile": "none"})
    first = harness.get_weights(harness.build(spec, "pytorch", seed=3, dtype="float64"))
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2)).double()
    names = ["hidden/kernel", "hidden/bias", "norm/gamma", "norm/beta", "head/kernel", "head/bias"]
    with torch.no_grad():
        for parameter, name in zip(net.parameters(), names, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(first[name].T)))
    made = torch.optim.SGD(net.parameters(), 0.05, momentum=0.5, weight_decay=0.25)
    for batch in batches:
        made.zero_grad()
        torch.nn.functional.mse_loss(net(torch.from_numpy(x[batch])), torch.from_numpy(y[batch])).backward()
        made.step()
    after = {name: parameter.detach().numpy().T for name, parameter in zip(names, net.parameters(), strict=True)}
    return max(float(np.abs(record.weights[name] - array).max()) for name, array in after.items())


def main() -> None:
    found = {
        "first_values": first_values(), "arguments": arguments(), "padded": padded(),
        "two_biases": {name: two_biases(name) for name in ("SGD", "Adam")},
        "decayed": {name: decayed(name) for name in ("penalty_form", "weight_decay_form")},
    }
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
