"""The harness against programs that know nothing of it: stock Keras's compile and fit, plain PyTorch.

    python -m tests.conformance.plain_programs stock_keras|plain_pytorch <out.npz>

Each trains with the harness and with the plain program, in float64, from the same first weights and in the
same order, and leaves both sets of final weights as "case|harness|name" and "case|plain|name".
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

# name -> (model, parameters, phases as epochs, batch size, optimizer): the five reference programs of the
# mission on digits enlarged to 28x28 pixels, and for stock Keras two models with more kinds of layers.
PROGRAMS: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "a": ("mlp_64_64", {}, [{"name": "pretrain", "epochs": 2},
                            {"name": "finetune", "epochs": 2, "split": "validation"}]),
    "b": ("mlp_64_64", {}, [{"name": "pretrain", "epochs": 2}, {"name": "finetune", "epochs": 2}]),
    "c": ("mlp_128_64", {}, [{"name": "pretrain", "epochs": 2}, {"name": "finetune", "epochs": 1}]),
    "d": ("simple_cnn", {}, [{"name": "pretrain", "epochs": 2}]),
    "e": ("mlp_128_64", {}, [{"name": "pretrain", "epochs": 2}]),
}
KERAS_MODELS: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "mlp": ("mlp", {"l2": 0.01, "batch_normalization": True}, [{"name": "pretrain", "epochs": 2}]),
    "cnn": ("cnn", {"input_shape": (28, 28), "filters": (4, 8), "units": 16, "batch_normalization": True},
            [{"name": "pretrain", "epochs": 1}, {"name": "finetune", "epochs": 1}]),
    "lstm": ("lstm_classifier", {"input_shape": (28, 28), "num_classes": 10, "units": (8, 8)},
             [{"name": "pretrain", "epochs": 1}]),
}
TRAIN, VALIDATION, BATCH = 130, 50, 32


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits, each pixel as 3x3 pixels with a border: [180, 28, 28] in 0..1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = digits.images[: TRAIN + VALIDATION].repeat(3, 1).repeat(3, 2) / 16
    return np.pad(x, ((0, 0), (2, 2), (2, 2))), digits.target[: TRAIN + VALIDATION]


def job(model: str, params: dict[str, Any], phases: list[dict[str, Any]], backend: str) -> Any:
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.models import load_model
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe
    from harness.training.run import Job

    x, y = arrays()
    data = from_arrays(x[:TRAIN], y[:TRAIN], validation=(x[TRAIN:], y[TRAIN:]))
    loss = {"SparseCategoricalCrossentropy": {"from_logits": model == "simple_cnn"}}
    recipe = Recipe(loss=loss, optimizer="adam", batch_size=BATCH, phases=phases)
    execution = Execution(precision="float64", compile="none", device="cpu")
    return Job(load_model(model, **params), recipe, data, load_backend(backend), execution, seed=11)


def examples(plan: Any, phase: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    x, y = arrays()
    return (x[TRAIN:], y[TRAIN:]) if phase.get("split") == "validation" else (x[:TRAIN], y[:TRAIN])


def stock_keras(training: Any, own: Any, model: str, phases: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """compile and fit: one fit per epoch, on arrays in the tape's order, shuffle=False."""
    import keras

    from harness.backends.tensorflow.model import build_model, get_weights
    from harness.plan.initial import initial_weights

    network = build_model(own.spec, initial_weights(own.spec, own.seed), "float64")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=model == "simple_cnn")
    # Python floats would be rounded to float32 inside of Keras's float64 update; np.float64 are not.
    adam = keras.optimizers.Adam(np.float64(0.001), np.float64(0.9), np.float64(0.999), np.float64(1e-7))
    network.compile(adam, loss)
    for plan, phase in zip(training.plans, phases, strict=True):
        x, y = examples(plan, phase)
        for start, stop in plan.tape.epoch_bounds():
            rows = plan.tape.indices[start:stop]
            rows = rows[rows >= 0]
            network.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0)
    return get_weights(network)


def plain_pytorch(training: Any, own: Any, model: str, phases: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """A hand-written network and loop; Adam by the formula of Keras's documentation."""
    import torch
    from torch import nn

    from harness.plan.initial import initial_weights

    first = {name: torch.from_numpy(array) for name, array in initial_weights(own.spec, own.seed).items()}
    layers = list(dict.fromkeys(name.split("/")[0] for name in first))
    if model == "simple_cnn":
        network = nn.Sequential(
            nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
            nn.Linear(512, 10)).double()
    else:
        wide = 128 if model == "mlp_128_64" else 64
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, wide), nn.ReLU(), nn.Linear(wide, 64), nn.ReLU(),
                                nn.Linear(64, 10)).double()
    modules = [module for module in network if isinstance(module, (nn.Linear, nn.Conv2d))]
    # Flattened images run channels first in this program and channels last in Keras.
    order = torch.arange(3136).reshape(7, 7, 64).permute(2, 0, 1).reshape(-1)
    with torch.no_grad():
        for name, module in zip(layers, modules, strict=True):
            kernel = first[f"{name}/kernel"]
            if kernel.shape[0] == 3136:
                kernel = kernel[order]
            module.weight.copy_(kernel.permute(3, 2, 0, 1) if kernel.dim() == 4 else kernel.T)
            module.bias.copy_(first[f"{name}/bias"])
    parameters = list(network.parameters())
    m, v, step = [torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters], 0
    for plan, phase in zip(training.plans, phases, strict=True):
        x, y = (torch.from_numpy(array) for array in examples(plan, phase))
        for rows in plan.tape.indices:
            batch = torch.from_numpy(rows[rows >= 0]).long()
            gradients = torch.autograd.grad(nn.functional.cross_entropy(network(x[batch]), y[batch]), parameters)
            step += 1
            rate = 0.001 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            with torch.no_grad():
                for p, g, mean, square in zip(parameters, gradients, m, v, strict=True):
                    mean += (g - mean) * (1 - 0.9)
                    square += (g * g - square) * (1 - 0.999)
                    p -= rate * mean / (square.sqrt() + 1e-7)
    final = {}
    for name, module in zip(layers, modules, strict=True):
        kernel = module.weight.permute(2, 3, 1, 0) if module.weight.dim() == 4 else module.weight.T
        if kernel.shape[0] == 3136:
            kernel = kernel[torch.argsort(order)]
        final[f"{name}/kernel"], final[f"{name}/bias"] = kernel.detach().numpy(), module.bias.detach().numpy()
    return final


def main() -> None:
    from harness.training.run import train

    kind, out = sys.argv[1], sys.argv[2]
    backend, play = ("tensorflow", stock_keras) if kind == "stock_keras" else ("pytorch", plain_pytorch)
    saved = {}
    for case, (model, params, phases) in (PROGRAMS | (KERAS_MODELS if kind == "stock_keras" else {})).items():
        own = job(model, params, phases, backend)
        training = train(own)
        plain = play(training, own, model, phases)
        saved |= {f"{case}|harness|{name}": array for name, array in training.state.weights.items()}
        saved |= {f"{case}|plain|{name}": array for name, array in plain.items()}
        saved |= {f"{case}|first|{name}": array for name, array in _first(own).items()}
    np.savez(out, **saved)


def _first(own: Any) -> dict[str, np.ndarray]:
    from harness.plan.initial import initial_weights

    return initial_weights(own.spec, own.seed)


if __name__ == "__main__":
    main()
