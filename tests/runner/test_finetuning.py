"""Fine-tuning in both frameworks: adapters, stretches, rates by depth and new rows are certified, and mean what Keras's
own `enable_lora` and `trainable = False` mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.certificate import DIFFERENT
from harness.runner.certify import both_workers, certify
from harness.runner.workers import Job

STEPS = 4
ADAM = {"Adam": {"learning_rate": 0.01}}
LORA = {"rank": 2, "alpha": 6.0, "layers": ["tokens", "block_*", "*/attention_output"], "dropout": 0.2}
RECIPE = {
    "loss": "sparse_categorical_crossentropy", "optimizer": ADAM, "batch_size": 8,
    "phases": [
        {"name": "pretrain", "epochs": 1},
        {"name": "adapted", "epochs": 2, "lora": LORA, "unfreeze": ["head"], "optimizer": {"Adam": {
            "learning_rate": {"WarmupDecay": {"learning_rate": 0.02, "warmup": 0.2}}}}},
        {"name": "whole", "epochs": 2, "merge_lora": True, "unfreeze": ["*"], "freeze": ["norm"], "optimizer": ADAM,
         "resize": {"tokens": {"input_dim": 14, "new_rows": "initializer"}},
         "layer_decay": {"factor": 0.5, "order": ["tokens", "block_*"]}, "unfreeze_schedule": {1: ["norm"]}},
    ],
}


def transformer() -> Any:
    """A block of a transformer, small; its batch normalization shows what it means to be frozen."""
    ids = Input((5,), name="ids", dtype="int32")
    x = layers.Embedding(12, 6, name="tokens")(ids)
    attended = layers.MultiHeadAttention(2, 3, dropout=0.1, name="block_attention")(x, x)
    x = layers.LayerNormalization(name="layer_norm")(layers.Add(name="add")([x, attended]))
    x = layers.Dense(8, activation="gelu", name="block_dense")(x)
    x = layers.EinsumDense("abc,cd->abd", (5, 6), bias_axes="d", name="block_einsum")(x)
    x = layers.BatchNormalization(name="norm")(layers.GlobalAveragePooling1D(name="mean")(x))
    return Model(ids, layers.Dense(3, activation="softmax", name="head")(x), name="small_transformer")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 12, (40, 5)).astype(np.int32), rng.integers(0, 3, 40)


@pytest.fixture(scope="module")
def workers() -> Any:
    with both_workers() as pool:
        yield pool


def certificate(pool: Any, recipe: Any = RECIPE, rungs: tuple[str, ...] = ("R0", "R1", "R2", "R3"), **more: Any) -> Any:
    return certify(transformer(), recipe, data(), execution={"device": "cpu"}, steps=STEPS, rungs=rungs, workers=pool,
                   **more)


@pytest.mark.frameworks
@pytest.mark.sweep
def test_every_way_of_fine_tuning_is_certified(workers: Any) -> None:
    made = certificate(workers, rungs=("R0", "R1", "R2", "R3", "R4"))
    assert made.finding is None, made.finding
    assert [phase.name for phase in made.phases] == ["pretrain", "adapted", "whole.epoch_0", "whole"]
    assert {rung.status for phase in made.phases for rung in phase.rungs} == {"passed"}


def adapted() -> dict[str, Any]:
    """The recipe's phase with adapters alone."""
    return {**RECIPE, "phases": [RECIPE["phases"][1]]}


def losses_job(arguments: dict[str, Any], emit: Any) -> list[float]:
    """In a child: the losses of all phases, or of the one with adapters. arguments: {"backend", "tier"}."""
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe
    from harness.training.run import Job as TrainingJob
    from harness.training.run import train

    x, y = data()
    # Through fit not of the Embedding: Keras hands Adam one gradient for each occurrence of an id
    # (docs/known-differences.md).
    through_fit = {**RECIPE["phases"][1], "lora": {**LORA, "layers": ["block_*", "*/attention_output"]}}
    phases = RECIPE["phases"] if arguments["tier"] == "tuned" else [through_fit]
    execution = Execution(device="cpu", precision="float64", compile="none", tier=arguments["tier"], random="tape")
    training = train(TrainingJob(transformer(), Recipe.parse({**RECIPE, "phases": phases}), from_arrays(x, y),
                                 load_backend(arguments["backend"]), execution, seed=1))
    return np.concatenate([part for run in training.phases for part in run.losses]).tolist()


@pytest.mark.frameworks
@pytest.mark.parametrize(("tier", "steps", "tolerance"), [
    ("tuned", 25, 1e-9), pytest.param("idiomatic", 10, 1e-6, marks=pytest.mark.sweep)])
def test_whole_trainings_are_the_same(tier: str, steps: int, tolerance: float, workers: Any) -> None:
    """Of all phases: 5 steps, 10 with adapters, 5 of each stretch; and the adapters through model.fit."""
    ours, theirs = (np.array(workers[backend].run(Job(f"{__name__}:losses_job", {"backend": backend, "tier": tier}))
                             .unwrap()) for backend in ("pytorch", "tensorflow"))
    assert len(ours) == len(theirs) == steps
    assert np.abs(ours / theirs - 1).max() < tolerance


def planted_job(arguments: dict[str, Any], emit: Any) -> Any:
    """The job of a worker's child of PyTorch, where adapters lack alpha / rank."""
    from harness.backends.pytorch.layers import lora
    from harness.runner.certifying import certify_job

    own = lora.Adapter.__init__

    def without_scale(self: Any, inputs: int, outputs: int, rank: int, scale: float, *more: Any) -> None:
        own(self, inputs, outputs, rank, 1.0, *more)

    lora.Adapter.__init__ = without_scale
    return certify_job(arguments, emit)


@pytest.mark.frameworks
def test_a_missing_scale_of_the_adapters_is_caught(workers: Any) -> None:
    """At the first step A @ B is zero in both: what differs is the gradient of B."""
    made = certificate(workers, adapted(), diagnose=False, jobs={"pytorch": f"{__name__}:planted_job"})
    assert made.label == DIFFERENT
    assert "lora" in f"{made.finding}", made.finding


def of_keras_job(arguments: dict[str, Any], emit: Any) -> dict[str, float]:
    """In a child of TensorFlow: the largest differences of outputs between our layers with adapters and stock Keras's
    after `enable_lora`, the order of whose variables is theirs."""
    import keras

    from harness.backends.tensorflow.model import build_model

    rng, found = np.random.default_rng(1), {}
    x, ids = rng.normal(size=(4, 5, 6)).astype("float32"), rng.integers(0, 7, (4, 5)).astype("int32")
    given: dict[str, Any] = {"lora_rank": 2, "lora_alpha": 5.0}
    for stock, ours, fed in (
        (keras.layers.Dense(3, activation="tanh"), layers.LoRADense(3, activation="tanh", **given), x),
        (keras.layers.EinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="e"),
         layers.LoRAEinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="e", **given), x),
        (keras.layers.Embedding(7, 4), layers.LoRAEmbedding(7, 4, **given), ids),
    ):
        inputs = Input(fed.shape[1:], dtype=str(fed.dtype), name="inputs")
        spec = Model(inputs, ours(inputs))
        stock.build(fed.shape)
        stock.enable_lora(2, lora_alpha=5)
        values = [rng.normal(size=weight.shape) for weight in spec.weights]
        stock.set_weights(values)
        assert [v.path.split("/")[-1] for v in stock.weights] == [weight.role for weight in spec.weights]
        weights = {weight.name: value for weight, value in zip(spec.weights, values, strict=True)}
        model = build_model(spec, weights, "float32")
        found[type(ours).__name__] = float(np.abs(np.asarray(model(fed)) - np.asarray(stock(fed))).max())
    return found


@pytest.mark.frameworks
def test_adapters_are_those_of_keras(workers: Any) -> None:
    found = workers["tensorflow"].run(Job(f"{__name__}:of_keras_job", {})).unwrap()
    assert len(found) == 3
    assert all(difference < 2e-5 for difference in found.values()), found


TWO_BY_TWO = {
    "model": "mlp_64_64", "data": "digits", "recipe": {"phases": [{"name": "pretrain"}, {"name": "finetune"}]},
    "matrix": {"pretrained_in": ["tensorflow", "pytorch"], "seed": [0]},
}


def test_each_framework_pretrains_once_and_the_other_waits_for_it() -> None:
    from harness.runner.dependencies import ordered
    from harness.runner.matrix import cells
    from harness.spec.experiment import Experiment

    found = ordered(cells(Experiment.parse(TWO_BY_TWO), with_data=False))
    places = [(cell.recipe.pretrained_in, cell.backend) for cell, _ in found]
    backends = ("pytorch", "tensorflow")
    assert sorted(places) == [(first, then) for first in backends for then in backends]
    for place, (cell, needed) in enumerate(found):
        crossed = cell.recipe.pretrained_in != cell.backend
        assert [(need.backend, need.after) for need in needed] == (
            [(cell.recipe.pretrained_in, "pretrain")] if crossed else [])
        for need in needed:
            assert (need.twin.recipe.pretrained_in, need.twin.backend) == (cell.recipe.pretrained_in,) * 2
            assert found.index(next(item for item in found if item[0] is need.twin)) < place


def crossed_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """In a child of PyTorch: what is played of a recipe that TensorFlow pretrained, and from where."""
    from harness.backends import load_backend
    from harness.backends.contract import State
    from harness.data import from_arrays
    from harness.plan.initial import initial_weights
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe
    from harness.training.run import Job as TrainingJob
    from harness.training.run import train

    recipe = Recipe.parse({**RECIPE, "pretrained_in": "tensorflow", "phases": [
        {"name": "pretrain"}, {"name": "finetune", "optimizer": {"SGD": {"learning_rate": 0.0}}}]})
    asked, theirs = [], initial_weights(transformer(), 7)

    def left(backend: str, phase: str) -> State:
        asked.append([backend, phase])
        return State(theirs, {}, 5)

    x, y = data()
    training = train(TrainingJob(transformer(), recipe, from_arrays(x, y), load_backend("pytorch"),
                                 Execution(device="cpu", precision="float64", compile="none"), checkpoint_of=left))
    same = all(np.array_equal(training.state.weights[name], theirs[name]) for name in theirs if "moving" not in name)
    return {"phases": [run.name for run in training.phases], "asked": asked, "same": same}


@pytest.mark.frameworks
def test_what_the_other_framework_pretrained_is_not_trained_again(workers: Any) -> None:
    found = workers["pytorch"].run(Job(f"{__name__}:crossed_job", {})).unwrap()
    assert found == {"phases": ["finetune"], "asked": [["tensorflow", "pretrain"]], "same": True}
