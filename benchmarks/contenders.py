"""The training loops that benchmarks/loop.py compares. Each runs in a process of its own:

    python benchmarks/contenders.py <name> <workload> <examples>

reads lines from standard input, trains that many epochs for each, and answers with one line of JSON:
CPU seconds and wall seconds of the call, and a checksum of the first weights' change.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH = {"mlp": 32, "cnn": 64}
Contender = Callable[[int], None]


def arrays(workload: str, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST where it is installed, else scikit-learn's digits, enlarged; [n, 28, 28] in 0..1."""
    from harness.data import load
    from harness.errors import DataError

    try:
        train = load("fashion_mnist").train
        x, y = train.x["x"][:examples] / 255, train.y["y"][:examples]
    except DataError:
        train = load("digits").train
        small = np.resize(train.x["x"], (examples, 8, 8)) / 16
        x, y = np.pad(small.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2))), np.resize(train.y["y"], examples)
    return np.ascontiguousarray(x, np.float32), y.astype(np.int32)


def spec(workload: str) -> Any:
    """mlp: 784-64-64-10. cnn: two 3x3 convolutions of 32 and 64 channels, pooled, dense 10."""
    from harness import Input, Model, layers

    h = image = Input((28, 28), name="image")
    if workload == "cnn":
        h = layers.Reshape((28, 28, 1))(h)
        for filters in (32, 64):
            h = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, padding="same", activation="relu")(h))
        h = layers.Flatten()(h)
    else:
        h = layers.Flatten()(h)
        for _ in range(2):
            h = layers.Dense(64, activation="relu")(h)
    return Model(image, layers.Dense(10)(h), name=workload)


def harness(backend: str, workload: str, x: np.ndarray, y: np.ndarray) -> Contender:
    """The harness's own session, tuned tier."""
    from harness.backends import load_backend
    from harness.backends.contract import State
    from harness.plan.binding import Arrays
    from harness.plan.compiler import compile_phase
    from harness.plan.initial import initial_weights
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe

    loss = {"SparseCategoricalCrossentropy": {"from_logits": True}}
    model, execution = spec(workload), Execution(device="cpu", threads=1)
    owner = load_backend(backend)
    owner.configure(execution)
    phase = Recipe(loss=loss, batch_size=BATCH[workload], epochs=200).resolved_phases()[0]
    plan = compile_phase(model, phase, index=0, examples=len(x), seed=0)
    data = Arrays({"image": x}, {plan.outputs[0].name: y})
    session = owner.open(plan, State(initial_weights(model, 0)), data, execution)
    bounds = iter(plan.tape.epoch_bounds())

    def train(epochs: int) -> None:
        for _ in range(epochs):
            session.train(*next(bounds))
            session.wait()
            session.collect()

    return train


def keras_model(workload: str) -> Any:
    from harness.backends.tensorflow.model import build_model
    from harness.plan.initial import initial_weights

    return build_model(spec(workload), initial_weights(spec(workload), 0), "float32")


def keras_fit(workload: str, x: np.ndarray, y: np.ndarray) -> Contender:
    """What a Keras user writes: compile and fit."""
    import keras
    import tensorflow as tf

    _one_tensorflow_thread(tf)
    model = keras_model(workload)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda epochs: model.fit(x, y, batch_size=BATCH[workload], epochs=epochs, verbose=0) and None


def native_tensorflow(workload: str, x: np.ndarray, y: np.ndarray) -> Contender:
    """The same formulation by hand: a while_loop over steps on resident data; XLA for the MLP only."""
    import keras
    import tensorflow as tf

    _one_tensorflow_thread(tf)
    model, batch = keras_model(workload), BATCH[workload]
    variables = [variable.value for variable in model.trainable_variables]
    first = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    second = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    iterations = tf.Variable(0.0)
    data, labels = tf.constant(x), tf.constant(y)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = tf.Variable(tf.zeros(-(-len(x) // batch)))

    def step(index: tf.Tensor, rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = loss_of(tf.gather(labels, rows), model(tf.gather(data, rows), training=True))
        gradients = tape.gradient(loss, variables)
        iterations.assign_add(1.0)
        for variable, m, v, gradient in zip(variables, first, second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=tf.pow(0.9, iterations),
                beta2_power=tf.pow(0.999, iterations), lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-7, grad=gradient)
        losses.scatter_nd_update([[index]], [loss])

    @tf.function(jit_compile=workload == "mlp")
    def epoch(order: tf.Tensor) -> None:
        def body(index: tf.Tensor) -> tuple[tf.Tensor]:
            step(index, order[index])
            return (index + 1,)

        tf.while_loop(lambda index: index < tf.shape(order)[0], body, (0,), parallel_iterations=1)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            order = np.random.permutation(len(x)).astype(np.int32)[: len(x) // batch * batch]
            epoch(tf.constant(order.reshape(-1, batch)))
            losses.numpy()

    return train


def torch_network(workload: str) -> Any:
    """Hand-written, as a PyTorch user writes it."""
    from torch import nn

    if workload == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return nn.Sequential(
        nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 10))


def naive_pytorch(workload: str, x: np.ndarray, y: np.ndarray) -> Contender:
    """The tutorial's loop: a DataLoader, Adam, the loss read after every step."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    network = torch_network(workload)
    optimizer, loss_of = torch.optim.Adam(network.parameters()), torch.nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y).long()), BATCH[workload], shuffle=True)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            running = 0.0
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = loss_of(network(inputs), targets)
                loss.backward()
                optimizer.step()
                running += loss.item()

    return train


def native_pytorch(workload: str, x: np.ndarray, y: np.ndarray) -> Contender:
    """The same formulation by hand: resident data, index_select, fused Adam, channels last, no sync."""
    import torch

    torch.set_num_threads(1)
    network = torch_network(workload).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), fused=True, eps=1e-7)
    data, labels = torch.from_numpy(x), torch.from_numpy(y).long()

    def train(epochs: int) -> None:
        for _ in range(epochs):
            losses = []
            for rows in torch.randperm(len(x)).split(BATCH[workload]):
                optimizer.zero_grad()
                outputs = network(data.index_select(0, rows))
                loss = torch.nn.functional.cross_entropy(outputs, labels.index_select(0, rows))
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            torch.stack(losses).numpy()

    return train


def _one_tensorflow_thread(tf: Any) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


CONTENDERS: dict[str, Callable[[str, np.ndarray, np.ndarray], Contender]] = {
    "harness-tensorflow": lambda *args: harness("tensorflow", *args),
    "keras-fit": keras_fit,
    "native-tensorflow": native_tensorflow,
    "harness-pytorch": lambda *args: harness("pytorch", *args),
    "naive-pytorch": naive_pytorch,
    "native-pytorch": native_pytorch,
}


def main() -> None:
    name, workload, examples = sys.argv[1], sys.argv[2], int(sys.argv[3])
    train = CONTENDERS[name](workload, *arrays(workload, examples))
    train(1)
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        train(int(line))
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)


if __name__ == "__main__":
    main()
