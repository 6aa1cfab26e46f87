"""Compiles spec + recipe + data + seed to a Plan: the passes, in order, with nothing left to choose."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.plan.layer_decay import layer_multipliers
from harness.plan.masking import check_masks
from harness.plan.plan import Output, Plan, Tape, Variable
from harness.plan.randomness import generator, layer_keys
from harness.plan.schedule import learning_rates
from harness.spec.layers.cells import Gates
from harness.spec.layers.recurrent import Recurrent
from harness.spec.losses import Loss
from harness.spec.model import ModelSpec, NamedWeight
from harness.spec.operations.base import Operation
from harness.spec.recipe import (
    LossSpec,
    LossWeights,
    Phase,
    ResolvedPhase,
    loss_weights_by_output,
    losses_by_output,
)
from harness.spec.regularizers import OrthogonalRegularizer


def compile_phase(
    spec: ModelSpec, phase: ResolvedPhase, *, index: int, examples: int, seed: int, dtype: str = "float32",
    first_iteration: int = 0, batches: np.ndarray | None = None, collect_outputs: bool = False, weighted: bool = False,
) -> Plan:
    """The plan of one phase.

    spec: the phase's model (plan/finetune.py). examples: size of the split that is trained on.
    batches: [steps, batch] of example indices (-1: none) instead of the recipe's shuffling.
    """
    try:
        assert phase.loss is not None
        assert phase.optimizer is not None
        check_masks(spec)
        check_whole_numbers(spec)
        outputs = compile_outputs(spec, phase.loss, phase.loss_weights)
        variables = compile_variables(spec, phase)
        if not any(variable.trainable for variable in variables):
            raise SpecError("every layer is frozen: there is nothing to train.", hint="Unfreeze a layer.")
        if not reached(spec, outputs, variables):
            raise SpecError("no loss depends on a trainable weight: there is nothing to train.",
                            hint="Unfreeze a layer before an output with a loss.")
        tape = compile_tape(spec, phase, index, examples, seed, first_iteration, batches)
    except SpecError as error:
        raise error.at(f"phase {phase.name!r}") from None
    return Plan(
        name=phase.name, spec=spec, dtype=dtype, seed=seed, variables=variables, outputs=outputs,
        optimizer=phase.optimizer, tape=tape, stochastic=stochastic_calls(spec), first_iteration=first_iteration,
        collect_outputs=collect_outputs, weighted=weighted,
    )


def compile_outputs(spec: ModelSpec, loss: LossSpec, weights: LossWeights | None = None) -> tuple[Output, ...]:
    """Each output with its loss and weight, and whether the loss goes back to the logits."""
    names = spec.output_names
    losses, factors = losses_by_output(loss, names), loss_weights_by_output(weights, names)
    if not losses:
        raise SpecError("no output has a loss.")
    outputs = dict(zip(names, spec.outputs, strict=True))
    for name, item in losses.items():
        shape, given = spec.tensors[outputs[name]], getattr(item, "axis", -1)
        axes = given if isinstance(given, tuple) else () if given is None else (given,)
        if given == 0 or not all(-len(shape) < axis < len(shape) for axis in axes):
            raise SpecError(f"{item!r}: the output {name!r} of shape {shape} has no such axis.",
                            hint="Leave the loss's axis at -1; an output is (batch, ..., features).")
    return tuple(
        Output(name, reference, losses[name], factors[name], recovered_activation(spec, reference, losses[name]))
        for name, reference in outputs.items() if name in losses
    )


def check_whole_numbers(spec: ModelSpec) -> None:
    """Raises SpecError where an integer input meets a layer whose kernels in TensorFlow take floating-point only."""
    whole = {item.name for item in spec.inputs if item.dtype.startswith(("int", "uint"))}
    for node in spec.nodes:
        kind = type(spec.layers[node.layer]).__name__
        if whole & set(node.inputs) and ("Conv" in kind or kind.startswith("AveragePooling")):
            raise SpecError(f"Keras's {kind} takes no whole numbers, the input has the dtype of an integer.",
                            where=f"model {spec.name!r}, layer {node.name!r}",
                            hint="Leave the Input's dtype out, or put a Rescaling first.")
        if whole & set(node.inputs) and kind == "SpectralNormalization":
            raise SpecError("Keras's SpectralNormalization gives its output the input's type, here that of an integer.",
                            where=f"model {spec.name!r}, layer {node.name!r}", hint="Leave the Input's dtype out.")


def reached(spec: ModelSpec, outputs: tuple[Output, ...], variables: tuple[Variable, ...]) -> bool:
    """Whether a loss or a penalty depends on a trainable weight."""
    trained = {variable.layer for variable in variables if variable.trainable}
    nodes = {node.name: node for node in spec.nodes}
    waiting, seen = [output.node for output in outputs], set[str]()
    waiting += [name for name, node in nodes.items() if spec.layers[node.layer].regularizes_activity]
    while waiting:
        name = waiting.pop().split(":")[0]
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        waiting += nodes[name].references
    return any(nodes[name].layer in trained for name in seen) or any(
        variable.trainable and variable.penalized for variable in variables)


def recovered_activation(spec: ModelSpec, reference: str, loss: Loss) -> str | None:
    """"softmax" or "sigmoid" if Keras's loss would go back to what came before the output's activation."""
    node = next((node for node in spec.nodes if node.name == reference), None)
    if node is None or not loss.recovers_logits:
        return None
    layer = spec.layers[node.layer]
    # A recurrent layer's activation is that of its cell, not what its output went through last.
    activation = None if isinstance(layer, (Gates, Recurrent)) else getattr(layer, "activation", None)
    if isinstance(layer, Operation):
        # TensorFlow's softmax and sigmoid remember what they were given, along whichever axis.
        activation = {"ops.softmax": "softmax", "ops.sigmoid": "sigmoid"}.get(layer.canonical_name())
    elif type(layer).__name__ == "Softmax" and getattr(layer, "axis", None) in (-1, [-1], (-1,)):
        activation = "softmax"
    # Of whichever of the two: Keras takes the logits of a softmax for a binary cross-entropy as well.
    return activation if activation in ("softmax", "sigmoid") else None


def compile_variables(spec: ModelSpec, phase: ResolvedPhase) -> tuple[Variable, ...]:
    """Every weight with what this phase does to it."""
    optimizer = phase.optimizer
    assert optimizer is not None
    names = {weight.name for weight in spec.weights} | set(spec.layers)
    for pattern in phase.learning_rate_multipliers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SpecError(f"learning_rate_multipliers: nothing fits {pattern!r}.", hint=did_you_mean(pattern, names))
    decayed = layer_multipliers(spec, phase.layer_decay)
    return tuple(
        Variable(
            name=weight.name, layer=weight.layer, role=weight.role, shape=weight.shape, trainable=weight.trainable,
            multiplier=_multiplier(weight.name, weight.layer, phase) * decayed.get(weight.layer, 1.0),
            decay=optimizer.decays(weight.name), constraint=weight.constraint, **_penalty(weight),
        )
        for weight in spec.weights
    )


def _penalty(weight: NamedWeight) -> dict[str, Any]:
    """What a Variable holds of the weight's regularizer."""
    if weight.regularizer is None or not weight.trainable:
        return {}
    if isinstance(weight.regularizer, OrthogonalRegularizer):
        return {"regularizer": weight.regularizer}
    return {"penalty": weight.regularizer.factors()}


def _multiplier(name: str, layer: str, phase: Phase) -> float:
    for pattern, factor in phase.learning_rate_multipliers.items():
        if fnmatchcase(name, pattern) or fnmatchcase(layer, pattern):
            return factor
    return 1.0


def compile_tape(
    spec: ModelSpec, phase: ResolvedPhase, index: int, examples: int, seed: int, first_iteration: int,
    batches: np.ndarray | None,
) -> Tape:
    """Batches, learning rates, epochs and random keys of every step."""
    assert phase.optimizer is not None
    if examples < 1:
        raise SpecError("there is no example to train on.")
    if batches is not None:
        indices = checked_batches(batches, examples)
        epochs = np.zeros(len(indices), np.int32)
    else:
        indices, epochs = shuffled_batches(phase, index, examples, seed)
    per_epoch = len(indices) // (int(epochs[-1]) + 1)
    if phase.steps is not None:
        indices, epochs = indices[: phase.steps], epochs[: phase.steps]
    calls = stochastic_calls(spec)
    steps = len(indices)
    # Of a stretch of a phase: the steps before it, and those of the phase.
    within = None if phase.of_epochs is None else (per_epoch * phase.epochs_before, per_epoch * phase.of_epochs)
    keys = [layer_keys(seed, index, call, first_iteration, steps) for call in calls]
    return Tape(
        indices=indices, sizes=(indices >= 0).sum(1).astype(np.int32),
        learning_rates=learning_rates(phase.optimizer.learning_rate, steps, first_iteration, within), epochs=epochs,
        keys=np.stack(keys, 1) if keys else np.zeros((steps, 0, 2), np.int32),
    )


def shuffled_batches(phase: ResolvedPhase, index: int, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(int32 [steps, batch], int32 [steps]): a new order for every epoch, the last batch partial or dropped."""
    batch = phase.batch_size
    assert batch is not None
    steps = examples // batch if phase.drop_last else -(-examples // batch)
    if steps == 0:
        raise SpecError(f"drop_last leaves nothing: {examples} examples do not fill a batch of {batch}.",
                        hint="Choose a smaller batch_size.")
    indices = np.full((phase.epochs, steps * batch), -1, np.int32)
    for epoch in range(phase.epochs):
        order = np.arange(examples, dtype=np.int32)
        if phase.shuffle:
            order = generator(seed, "order", index, epoch).permutation(order)
        used = min(examples, steps * batch)
        indices[epoch, :used] = order[:used]
    return (indices.reshape(phase.epochs * steps, batch),
            np.repeat(np.arange(phase.epochs, dtype=np.int32), steps))


def checked_batches(batches: np.ndarray, examples: int) -> np.ndarray:
    """The user's own index matrix. Raises SpecError on a wrong shape or an index beyond the data."""
    batches = np.asarray(batches)
    if batches.ndim != 2 or not np.issubdtype(batches.dtype, np.integer) or batches.size == 0:
        raise SpecError(f"batches is an integer matrix [steps, batch], got {batches.dtype} {batches.shape}.")
    if batches.max() >= examples or batches.min() < -1 or (batches[:, 0] < 0).any():
        raise SpecError(f"batches holds indices 0 to {examples - 1} (-1 beyond the end of a partial batch), got "
                        f"{batches.min()} to {batches.max()}.")
    if (np.diff((batches < 0).astype(int), axis=1) < 0).any():
        raise SpecError("in a row of batches, -1 may only stand at the end.")
    return np.asarray(batches, np.int32)


def stochastic_calls(spec: ModelSpec) -> tuple[str, ...]:
    """The calls that draw random numbers, in the model's order."""
    return tuple(node.name for node in spec.nodes if spec.layers[node.layer].stochastic)
