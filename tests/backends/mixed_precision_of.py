"""The program of test_mixed_precision.py: python -m tests.backends.mixed_precision_of BACKEND FILE writes arrays by
name, as one framework computes them in mixed precision: layers, loss scaling, trainings, programs, conditions."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.backends import load_backend
from harness.backends.contract import Backend, State, TraceRequest
from harness.errors import SpecError
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.plan.initial import initial_weights
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe
from tests.backends.program_cases import Case
from tests.conformance import engine

POLICIES = ("mixed_bfloat16", "mixed_float16")
# Layers of every kind of rule: cast and computed in the half type, left whole inside, not cast at all.
LAYERS = (
    "core/dense relu", "core/embedding", "normalization/BatchNormalization of vectors",
    "normalization/LayerNormalization of vectors", "normalization/GroupNormalization of images",
    "normalization/RMSNormalization of vectors", "normalization/UnitNormalization of vectors",
    "convolutional/conv2d same", "attention/attention", "recurrent/lstm", "recurrent/gru",
    "pooling/AveragePooling2D default", "pooling/GlobalAveragePooling2D", "activation/softmax",
    "reshaping/up2d bilinear x2", "merging/Add two",
)
SCALED_STEPS = 14


def of_layers(backend: Backend, policies: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Outputs and gradients of stock layers."""
    cases = engine.all_cases()
    for name in LAYERS:
        case = cases[name]
        spec = case.spec()
        inputs = {item.name: array for item, array in
                  zip(spec.inputs, engine.inputs_of(name, case), strict=True)}
        for policy in policies:
            found = backend.trace(TraceRequest(
                spec, tuple(spec.outputs), engine.weights_of(name, spec), inputs, policy, (), np.zeros((1, 2), "int32"),
                lambda reference, shape: np.random.default_rng(len(reference)).normal(size=shape),
                lambda reference, array: array))
            for reference, array in found.items():
                yield f"layer {name}|{policy}|{reference}", np.asarray(array)


def scaled() -> tuple[Any, State, Arrays]:
    """A model whose gradients overflow at first: what has to happen to the scale is known beforehand."""
    x = Input((2,), name="x")
    spec = Model(x, layers.Dense(1, name="y")(x), name="scaled")
    rate = {"ExponentialDecay": {"initial_learning_rate": 0.125, "decay_steps": 1, "decay_rate": 0.5}}
    recipe = Recipe(loss="mse", optimizer={"SGD": {"learning_rate": rate}}, batch_size=2, epochs=SCALED_STEPS)
    plan = compile_phase(spec, recipe.resolved_phases()[0], index=0, examples=2, seed=0, dtype="float32")
    arrays = Arrays({"x": np.full((2, 2), 0.5, np.float32)}, {"y": np.full((2, 1), 4.0, np.float32)}, None)
    return plan, State(initial_weights(spec, 0)), arrays


def of_loss_scale(backend: Backend) -> Iterator[tuple[str, np.ndarray]]:
    """The scale, its counter, the iterations and the weights after each step."""
    plan, state, arrays = scaled()
    execution = Execution(device="cpu", precision="mixed_float16", initial_scale=2.0**18, dynamic_growth_steps=3)
    backend.configure(execution)
    session = backend.open(plan, state, arrays, execution)
    found: dict[str, list[Any]] = {name: [] for name in ("scale", "counter", "iterations", "bias")}
    for step in range(SCALED_STEPS):
        if step == 9:  # goes on from a state as from a checkpoint
            left = session.state()
            session.close()
            session = backend.open(plan, state, arrays, execution)
            session.load(left)
        session.train(step, step + 1)
        left = session.state()
        slot = left.slots["loss_scale"]
        for name, value in (("scale", slot["dynamic_scale"]), ("counter", slot["step_counter"]),
                            ("iterations", left.iterations), ("bias", left.weights["y/bias"])):
            found[name].append(np.array(value, np.float64).reshape(()))
    session.close()
    for name, values in found.items():
        yield f"scale {name}", np.array(values)


def of_trainings(backend: Backend) -> Iterator[tuple[str, np.ndarray]]:
    """A short training in each precision."""
    for model, recipe in (("mlp", "accumulation"), ("cnn", "adam")):
        for precision in ("float32", *POLICIES):
            case = Case(model, recipe, precision)
            session = case.open(backend, compile="none")
            for name, array in case.played(session).items():
                yield f"training {model}|{precision}|{name}", array
            loss, outputs = session.evaluate(case.arrays, 8)
            yield f"training {model}|{precision}|evaluated", np.array([loss])
            yield f"training {model}|{precision}|shown", outputs[0]
            yield f"training {model}|{precision}|predicted", session.predict(case.arrays.x, 8)[0]
            session.close()
    case = Case("mlp", "adam", "float32")
    for policy in POLICIES:
        execution = Execution(device="cpu", precision=policy, tier="idiomatic", random="tape")
        session = backend.open(case.plan, case.state, case.arrays, execution)
        session.train(0, 3)
        yield f"idiomatic|{policy}|losses", session.collect().losses
        yield f"idiomatic|{policy}|iterations", np.asarray(session.state().iterations)
        session.close()


def of_conditions(backend: Backend) -> dict[str, Any]:
    found = {}
    for precision in ("float32", *POLICIES):
        for tier in ("tuned", "idiomatic"):
            execution = Execution(device="cpu", precision=precision, tier=tier, deterministic=False)
            backend.configure(execution)
            found[f"{precision} {tier}"] = backend.conditions(execution)
    return found


def refusals(backend: Backend) -> dict[str, str]:
    x, image = Input((4,), name="x"), Input((4, 4, 1), name="image")
    models = {
        "SpectralNormalization": Model(x, layers.SpectralNormalization(layers.Dense(2))(x), name="spectral"),
        "UpSampling2D": Model(image, layers.UpSampling2D(2, interpolation="bicubic")(image), name="enlarged"),
        "left whole": Model(image, layers.UpSampling2D(2, interpolation="bicubic", dtype="float32")(image), name="w"),
    }
    found = {}
    for name, spec in models.items():
        try:
            backend.build(spec, initial_weights(spec, 0), "mixed_bfloat16")
        except SpecError as error:
            found[name] = str(error)
    return found


def main(name: str, file: str) -> None:
    backend = load_backend(name)
    backend.configure(Execution(device="cpu", deterministic=False))  # before the first operation
    told = {"conditions": of_conditions(backend), "refusals": refusals(backend)}
    found = dict(of_layers(backend, POLICIES if name == "tensorflow" else ("float64", *POLICIES)))
    found |= dict(of_loss_scale(backend))
    found |= dict(of_trainings(backend))
    np.savez(file, told=np.array(json.dumps(told)), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
