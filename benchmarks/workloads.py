"""What is trained: networks of the library's sizes, their data, and the harness's own description of each.

The same network stands by hand in contenders/keras_networks.py, pytorch_networks.py and tensorflow_networks.py. All are
trained by Adam (0.001, epsilon 1e-7) on the cross-entropy of logits, without dropout and penalties, whole batches only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError

SIDE, CLASSES = 28, 10
STEPS, VOCABULARY = 100, 10_000
SEED = 20_261_123
# Of the words of a text, those that its class prefers; and so many words each class prefers.
SHARE, PREFERRED = 0.2, 50


@dataclass(frozen=True)
class Workload:
    """network: its name in the modules of networks. library: its name in models/, arguments: those that it gets.
    steps: of an epoch."""

    title: str
    network: str
    batch: int
    steps: int
    arguments: dict[str, Any] = field(default_factory=dict)
    library: str = ""

    @property
    def examples(self) -> int:
        return self.batch * self.steps

    @property
    def of_text(self) -> bool:
        return self.network in ("lstm", "transformer")

    @property
    def num_classes(self) -> int:
        return 2 if self.of_text else CLASSES

    @property
    def sizes(self) -> dict[str, Any]:
        """What the networks by hand are built with."""
        return {name: value for name, value in self.arguments.items()
                if name not in ("input_shape", "l2", "dropout", "output_activation")}


IMAGE = {"input_shape": (SIDE, SIDE), "output_activation": None}
TEXT = {"input_shape": (STEPS,), "vocabulary": VOCABULARY, "output_activation": None}
MLP = {**IMAGE, "units": (64, 64)}
WORKLOADS = {
    "mlp_32": Workload("MLP 784-64-64-10, batch 32", "mlp", 32, 600, MLP, "mlp"),
    "mlp_128": Workload("MLP 784-64-64-10, batch 128", "mlp", 128, 150, MLP, "mlp"),
    "cnn": Workload("CNN, 32 and 64 filters, 128 units, batch 64", "cnn", 64, 16,
                    {**IMAGE, "filters": (32, 64), "units": 128}, "cnn"),
    "resnet": Workload("residual CNN, depth 8, batch 64", "resnet", 64, 10,
                       {**IMAGE, "depth": 8, "filters": 16, "l2": 0.0}, "resnet"),
    "lstm": Workload("LSTM 64 on 100 words, batch 32", "lstm", 32, 32,
                     {**TEXT, "embedding": 64, "units": (64,)}, "lstm_classifier"),
    "transformer": Workload("transformer encoder, 2 blocks of width 64 on 100 words, batch 32", "transformer", 32, 16,
                            {**TEXT, "width": 64, "heads": 4, "feedforward": 128, "depth": 2, "dropout": 0.0},
                            "transformer_encoder"),
}


def arrays(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Images: Fashion-MNIST where it is installed, else scikit-learn's digits, enlarged; float32 [n, 28, 28] in 0..1.
    Texts: made up, int32 [n, 100]. Labels: int64 [n]."""
    x, y = _texts(workload.examples) if workload.of_text else _images(workload.examples)
    return np.ascontiguousarray(x), y.astype(np.int64)


def _images(examples: int) -> tuple[np.ndarray, np.ndarray]:
    from harness.data import load

    try:
        train = load("fashion_mnist").train
        return (train.x["x"][:examples] / 255).astype(np.float32), train.y["y"][:examples]
    except DataError:
        train = load("digits").train
        small = np.resize(train.x["x"], (examples, 8, 8)) / 16
        enlarged = np.pad(small.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))
        return enlarged.astype(np.float32), np.resize(train.y["y"], examples)


def _texts(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Words as often as in a language (Zipf), some of them of the kind that the text's class prefers."""
    rng = np.random.default_rng(SEED)
    often = 1 / np.arange(1, VOCABULARY)
    words = rng.choice(np.arange(1, VOCABULARY), (examples, STEPS), p=often / often.sum())
    labels = rng.integers(0, 2, examples)
    preferred = 1000 + PREFERRED * labels[:, None] + rng.integers(0, PREFERRED, (examples, STEPS))
    return np.where(rng.random((examples, STEPS)) < SHARE, preferred, words).astype(np.int32), labels


def write_data(workload: Workload, path: Path) -> None:
    """For the contenders' processes, and as the harness's own source of data."""
    x, y = arrays(workload)
    np.savez(path, x=x, y=y)


def read_data(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as file:
        return file["x"], file["y"]


def cell_of(workload: Workload, data: Path, backend: str, program: str = "auto") -> Any:
    """The harness's cell: what `harness run` would train. harness.runner.matrix.Cell."""
    from harness.runner.matrix import cells
    from harness.spec.experiment import Experiment

    experiment = Experiment.parse({
        "model": {workload.library: {**workload.arguments, "num_classes": workload.num_classes}},
        "data": {"source": {"npz": str(data)}, "split": {"validation": 0, "test": 0}},
        "recipe": {"loss": {"SparseCategoricalCrossentropy": {"from_logits": True}}, "epochs": 20,
                   "optimizer": {"Adam": {"learning_rate": 0.001}}, "batch_size": workload.batch},
        "execution": {"device": "cpu", "threads": 1, "program": program},
        "backend": [backend], "seed": [0],
    })
    return cells(experiment)[0]
