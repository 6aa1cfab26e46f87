"""Is an imported twin as quick as what one would have written? Interleaved, by CPU time, as ratios with 95% intervals.

    python -m benchmarks.twins speed [--rounds 8] [--network ResNet50 MobileNetV2 transformer_encoder]
    python -m benchmarks.twins build [--rounds 5] [--application NASNetLarge]

speed: forward passes and training steps (SGD) of the harness's network and of the exported source against
hand-written modules (benchmarks/native_modules.py) with the same weights, in one process, one thread. First the
outputs are compared: another network would be no comparison. Above 1: the hand-written module is slower.

build: `keras.applications.X(weights=None)` and `keras.models.load_model(file)` against `harness.from_keras(file)` plus
`harness.build(spec, "pytorch", weights)`, a process each. Above 1: Keras is slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ratios import ratio

IMAGES, SIDE = 4, 224
TEXTS, STEPS, VOCABULARY = 32, 200, 10_000
TRANSFORMER = {"width": 128, "heads": 4, "feedforward": 512, "depth": 4}


def save_application(name: str, path: Path) -> None:
    """keras.applications.<name> as a .keras file, by a process with TensorFlow."""
    program = f"import keras; keras.applications.{name}(weights=None).save({str(path)!r})"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def networks(name: str, folder: Path) -> tuple[dict[str, Any], Any]:
    """(the same network three times: harness, exported, native), an input in Keras's layout."""
    import torch

    import harness
    from benchmarks import native_modules as native

    if name == "transformer_encoder":
        spec = harness.load_model(name, input_shape=(STEPS,), vocabulary=VOCABULARY, dropout=0.0, **TRANSFORMER)
        weights = None
        hand = native.TransformerEncoder(STEPS, VOCABULARY, **TRANSFORMER)
        x = torch.randint(0, VOCABULARY, (TEXTS, STEPS), dtype=torch.int32)
    else:
        save_application(name, folder / "model.keras")
        spec, weights = harness.from_keras(folder / "model.keras")
        hand = getattr(native, name)()
        x = torch.randn(IMAGES, SIDE, SIDE, 3)
    ours = harness.build(spec, "pytorch", weights=weights)
    harness.export(spec, "pytorch", folder / "twin.py", weights=harness.get_weights(ours))
    copy_parameters(ours, hand)
    return {"harness": ours, "exported": exported(folder / "twin.py"), "native": hand}, x


def exported(path: Path) -> Any:
    """The network of an exported source file, with its weights."""
    import importlib.util

    module_spec = importlib.util.spec_from_file_location("twin", path)
    module = importlib.util.module_from_spec(module_spec)  # type: ignore[arg-type]
    module_spec.loader.exec_module(module)  # type: ignore[union-attr]
    # The model's class stands last, behind those of its layers.
    twin = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == "twin"][-1]()
    module.load_weights(twin, path.with_suffix(".safetensors"))
    return twin


def copy_parameters(source: Any, target: Any) -> None:
    """By shape, in order: the hand-written modules declare their parameters in another order than Keras's graph, but
    those of one shape in the same one. `agree` checks the result."""
    import torch

    waiting: dict[tuple[int, ...], list[Any]] = {}
    for parameter in source.parameters():
        waiting.setdefault(tuple(parameter.shape), []).append(parameter)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.copy_(waiting[tuple(parameter.shape)].pop(0))


def speed(name: str, rounds: int) -> None:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found, x = networks(name, Path(folder))
    images = x.dim() == 4
    natural = x.permute(0, 3, 1, 2).contiguous() if images else x
    contenders: dict[str, tuple[Any, Any]] = {"harness": (found["harness"], x), "exported": (found["exported"], x),
                                              "native": (found["native"], natural)}
    if images:
        import copy

        last = copy.deepcopy(found["native"]).to(memory_format=torch.channels_last)
        contenders["native, channels_last"] = (last, natural.to(memory_format=torch.channels_last))
    agree(contenders)
    print(f"\n{name}, batch {len(x)}, {rounds} rounds, one thread, float32")
    for what, play in (("forward", forward), ("training step", training_step)):
        plays = {label: play(network, given) for label, (network, given) in contenders.items()}
        times = interleaved(plays, rounds)
        for own in ("harness", "exported"):
            for other in contenders:
                if other.startswith("native"):
                    print(f"  {what:14} {other:22} / {own:9} {ratio(times[other], times[own])}")


def agree(contenders: dict[str, tuple[Any, Any]]) -> None:
    import torch

    with torch.no_grad():
        outputs = {label: network.eval()(x) for label, (network, x) in contenders.items()}
    for label, y in outputs.items():
        difference = float((y - outputs["harness"]).abs().max() / outputs["harness"].abs().max())
        assert difference < 1e-3, f"{label} is another network: {difference:.1e}"


def forward(network: Any, x: Any) -> Callable[[], None]:
    import torch

    def play() -> None:
        network.eval()
        with torch.no_grad():
            network(x)

    return play


def training_step(network: Any, x: Any) -> Callable[[], None]:
    import torch
    import torch.nn.functional as F  # noqa: N812

    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
    labels = torch.zeros(len(x), dtype=torch.int64)

    def play() -> None:
        network.train()
        optimizer.zero_grad()
        F.nll_loss(network(x).log(), labels).backward()
        optimizer.step()

    return play


def interleaved(plays: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each, in a random order every round; the first round warms up."""
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {label: [] for label in plays}
    for number in range(rounds + 1):
        for label in rng.permutation(list(plays)):
            start = time.process_time()
            plays[label]()
            if number:
                times[label].append(time.process_time() - start)
    return times


KERAS_BUILDS = """
import sys, time, keras
for line in sys.stdin:
    keras.backend.clear_session()
    start = time.process_time()
    model = getattr(keras.applications, sys.argv[1])(weights=None) if line.strip() == "build" \\
        else keras.models.load_model(sys.argv[2], compile=False)
    print(time.process_time() - start, flush=True)
    del model
"""
HARNESS_BUILDS = """
import sys, time, harness, torch, h5py
harness.build(harness.load_model("mlp"), "pytorch")
for line in sys.stdin:
    start = time.process_time()
    spec, weights = harness.from_keras(sys.argv[2])
    model = harness.build(spec, "pytorch", weights=weights)
    print(time.process_time() - start, flush=True)
    del model, spec, weights
"""


def build(application: str, rounds: int) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        save_application(application, path)
        children = {
            label: subprocess.Popen([sys.executable, "-c", program, application, str(path)], text=True, bufsize=1,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            for label, program in (("keras", KERAS_BUILDS), ("harness", HARNESS_BUILDS))
        }
        times: dict[str, list[float]] = {"keras build": [], "keras load": [], "harness": []}
        for number in range(rounds + 1):
            for label in times:
                child = children[label.split()[0]]
                print(label.split()[-1], file=child.stdin, flush=True)
                seconds = float(child.stdout.readline())  # type: ignore[union-attr]
                if number:
                    times[label].append(seconds)
        for child in children.values():
            child.stdin.close()  # type: ignore[union-attr]
            child.wait()
    print(f"\n{application}: harness.from_keras + harness.build takes {np.median(times['harness']):.2f} CPU s")
    for label in ("keras build", "keras load"):
        print(f"  {label:11} / harness {ratio(times[label], times['harness'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "build"))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--network", nargs="+", default=["ResNet50", "MobileNetV2", "transformer_encoder"])
    parser.add_argument("--application", nargs="+", default=["NASNetLarge"])
    arguments = parser.parse_args()
    for name in arguments.network if arguments.what == "speed" else arguments.application:
        (speed if arguments.what == "speed" else build)(name, arguments.rounds)


if __name__ == "__main__":
    main()
