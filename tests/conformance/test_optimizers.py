"""Every optimizer and option: the TensorFlow backend's update against the PyTorch backend's, and both against the
stock Keras optimizer, over 100 steps of the same random gradients with a changing learning rate, in float64.

One subprocess per framework runs all cases; they exchange canonical arrays as .npz.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.spec.optimizers import OPTIMIZERS, Muon, Optimizer
from tests.forked import run_source

STEPS, HALF = 100, 50
Chosen = Callable[[str], list[str]]
MULTIPLIERS = (1.0, 0.5, 2.0, 0.0, 0.1, 0.7)
# name -> (optimizer, multipliers, dtype)
CASES: dict[str, tuple[dict[str, Any], tuple[float, ...] | None, str]] = {}


def case(name: str, optimizer: str, multipliers: tuple[float, ...] | None = None, dtype: str = "float64",
         **arguments: Any) -> None:
    CASES[name] = ({optimizer: arguments}, multipliers, dtype)


EXCLUDE = ["bias", "embedding"]
case("sgd", "SGD")
case("sgd_momentum", "SGD", momentum=0.9)
case("sgd_nesterov", "SGD", momentum=0.8, nesterov=True)
case("sgd_decay", "SGD", momentum=0.9, weight_decay=0.1, exclude_from_weight_decay=EXCLUDE)
case("sgd_clipnorm", "SGD", momentum=0.9, clipnorm=1.5)
case("sgd_clipvalue", "SGD", clipvalue=0.4)
case("sgd_multipliers", "SGD", MULTIPLIERS, momentum=0.9, nesterov=True, weight_decay=0.05, global_clipnorm=3.0)
case("adam", "Adam")
case("adam_epsilon", "Adam", epsilon=1e-3, beta_1=0.8, beta_2=0.95)
case("adam_amsgrad", "Adam", amsgrad=True)
case("adam_clipnorm", "Adam", clipnorm=0.7)
case("adam_clipvalue", "Adam", clipvalue=0.3)
case("adam_global_clipnorm", "Adam", global_clipnorm=2.0)
case("adam_loose_global_clipnorm", "Adam", global_clipnorm=1e6)
case("adam_decay", "Adam", weight_decay=0.02, exclude_from_weight_decay=EXCLUDE)
case("adam_multipliers", "Adam", MULTIPLIERS)
case("adamw", "AdamW")
case("adamw_excluded", "AdamW", weight_decay=0.1, exclude_from_weight_decay=EXCLUDE)
case("adamw_multipliers", "AdamW", MULTIPLIERS, weight_decay=0.1, clipnorm=0.8, exclude_from_weight_decay=EXCLUDE)
case("rmsprop", "RMSprop")
case("rmsprop_momentum", "RMSprop", momentum=0.9, rho=0.8)
case("rmsprop_centered", "RMSprop", centered=True)
case("rmsprop_all", "RMSprop", MULTIPLIERS, centered=True, momentum=0.5, weight_decay=0.05, epsilon=1e-4, clipvalue=0.8)
case("adagrad", "Adagrad")
case("adagrad_epsilon", "Adagrad", initial_accumulator_value=0.0, epsilon=1e-2)
case("adagrad_all", "Adagrad", MULTIPLIERS, weight_decay=0.05, global_clipnorm=2.5, exclude_from_weight_decay=EXCLUDE)
case("adadelta", "Adadelta", learning_rate=1.0)
case("adadelta_all", "Adadelta", MULTIPLIERS, rho=0.8, epsilon=1e-4, weight_decay=0.05, clipnorm=1.5)
case("adamax", "Adamax")
case("adamax_all", "Adamax", MULTIPLIERS, beta_1=0.8, beta_2=0.9, epsilon=1e-3, weight_decay=0.05, clipvalue=0.8)
case("nadam", "Nadam")
case("nadam_all", "Nadam", MULTIPLIERS, beta_1=0.8, beta_2=0.9, epsilon=1e-3, weight_decay=0.05, global_clipnorm=2.0)
case("ftrl", "Ftrl")
case("ftrl_all", "Ftrl", (1.0, 0.5, 2.0, 0.7, 0.1, 0.3), learning_rate_power=-0.7, initial_accumulator_value=0.3,
     l1_regularization_strength=0.05, l2_regularization_strength=0.1, l2_shrinkage_regularization_strength=0.02,
     beta=0.1, weight_decay=0.05, clipnorm=2.0)
case("ftrl_shrinkage", "Ftrl", l1_regularization_strength=0.2, l2_shrinkage_regularization_strength=0.1)
case("lion", "Lion")
case("lion_all", "Lion", MULTIPLIERS, beta_1=0.7, beta_2=0.9, weight_decay=0.1, exclude_from_weight_decay=EXCLUDE)
case("lamb", "Lamb")
case("lamb_all", "Lamb", MULTIPLIERS, beta_1=0.8, beta_2=0.95, epsilon=1e-4, weight_decay=0.05, global_clipnorm=3.0)
case("adafactor", "Adafactor")
case("adafactor_all", "Adafactor", MULTIPLIERS, beta_2_decay=-0.5, epsilon_1=1e-6, epsilon_2=0.5, clip_threshold=0.4,
     relative_step=False, weight_decay=0.05, clipnorm=2.0)
case("muon", "Muon")
case("muon_all", "Muon", MULTIPLIERS, adam_beta_1=0.8, adam_beta_2=0.95, adam_weight_decay=0.02, weight_decay=0.1,
     epsilon=1e-4, exclude_layers=["gru"], exclude_embeddings=False, adam_lr_ratio=0.5, momentum=0.8, ns_steps=3,
     nesterov=False, rms_rate=None, clipnorm=2.0, exclude_from_weight_decay=["bias"])
case("muon_adam_decay_only", "Muon", weight_decay=None, muon_a=3.0, muon_b=-4.0, muon_c=2.0)
case("schedule_free", "ScheduleFreeAdamW")
case("schedule_free_all", "ScheduleFreeAdamW", MULTIPLIERS, beta_1=0.8, beta_2=0.95, epsilon=1e-4, warmup_steps=40,
     weight_decay=0.05, clipvalue=0.8)
for kind in OPTIMIZERS.classes:
    case(f"{kind}_average", kind, use_ema=True, ema_momentum=0.9, **({"momentum": 0.9} if kind == "SGD" else {}))
    case(f"{kind}_accumulated", kind, gradient_accumulation_steps=4, clipnorm=1.0, weight_decay=0.02)
case("average_overwrites", "Adam", use_ema=True, ema_overwrite_frequency=7)
case("average_multiplied", "Adam", MULTIPLIERS, use_ema=True, ema_momentum=0.95, ema_overwrite_frequency=4)
case("average_accumulated", "SGD", (1.0, 0.5, 2.0, 0.3, 0.1, 0.7), momentum=0.9, use_ema=True, ema_momentum=0.8,
     ema_overwrite_frequency=3, gradient_accumulation_steps=4, weight_decay=0.05, global_clipnorm=1.0)
# 3 is no power of two: what is multiplied and divided by it is rounded twice.
for factor in (1024.0, 3.0):
    case(f"scaled_by_{factor:.0f}", "Adam", loss_scale_factor=factor, global_clipnorm=1.0, weight_decay=0.02)
case("scaled_sgd", "SGD", MULTIPLIERS, momentum=0.9, loss_scale_factor=16.0, clipnorm=0.5)
case("scaled_accumulated", "RMSprop", loss_scale_factor=512.0, gradient_accumulation_steps=4, clipvalue=0.3,
     use_ema=True)
case("dynamically_scaled", "LossScaleOptimizer", inner_optimizer={"AdamW": {"clipnorm": 0.7}},
     dynamic_growth_steps=40)
case("float32_adam", "Adam", dtype="float32")
case("float32_adamw", "AdamW", dtype="float32", weight_decay=0.1)
case("float32_sgd", "SGD", dtype="float32", momentum=0.9)
case("float32_rmsprop", "RMSprop", dtype="float32", momentum=0.9)
case("float32_adagrad", "Adagrad", dtype="float32")
for kind in ("Adadelta", "Adamax", "Nadam", "Ftrl", "Lamb", "Adafactor", "ScheduleFreeAdamW"):
    case(f"float32_{kind.lower()}", kind, dtype="float32")

# The wrappings and the other precision of optimizers whose own update the rest plays in full; one argument more, where
# another case has that argument, or the optimizer, too.
SWEPT = {name for name in CASES if name.endswith(("_average", "_accumulated")) or name.startswith("float32_")} - {
    "Adam_average", "SGD_accumulated", "Muon_accumulated", "average_accumulated", "scaled_accumulated",
    "float32_adam", "float32_sgd", "float32_ftrl"} | {
    "sgd_momentum", "sgd_clipnorm", "sgd_clipvalue", "adam_epsilon", "adam_clipnorm", "adam_clipvalue",
    "adam_loose_global_clipnorm", "adam_decay", "adamw", "rmsprop_momentum", "rmsprop_centered", "adagrad_epsilon",
    "ftrl_shrinkage", "muon_adam_decay_only", "average_overwrites", "scaled_by_1024"}

# In a loop by default; these also eagerly and compiled by XLA, and those of XLA go on half way in a new optimizer of
# TensorFlow's (PyTorch's always do). Fused: wherever a kernel exists.
EAGER = ("sgd_multipliers", "adamw_multipliers", "rmsprop_all", "adagrad_all", "nadam_all", "muon_all",
         "schedule_free_all", "average_accumulated")
XLA = ("sgd_nesterov", "sgd_multipliers", "adamw_multipliers", "adam_global_clipnorm", "rmsprop_all", "adagrad",
       "adafactor_all", "ftrl_all", "lamb_all", "muon_all", "nadam", "schedule_free", "average_accumulated")
# Where rounding is enlarged: the iteration of Muon multiplies it by its coefficients at every step.
LOOSE = {"Muon": 1e-10}
# Canonical names and Keras shapes. The embedding's gradient is sparse in TensorFlow, with repeated rows; the
# recurrent bias is two tensors in PyTorch.
SHAPES = {
    "dense/kernel": (5, 4), "dense/bias": (4,), "embedding/embeddings": (7, 3), "gru/bias": (2, 6),
    "conv/kernel": (3, 3, 2, 4), "scale/scale": (),
}


def has_kernel(name: str) -> bool:
    optimizer, _, dtype = spec_of(name)
    return dtype == "float64" and type(optimizer).__name__ in ("SGD", "Adam", "AdamW") and "amsgrad" not in name


def spec_of(name: str) -> tuple[Optimizer, tuple[float, ...] | None, str]:
    notation, multipliers, dtype = CASES[name]
    return OPTIMIZERS.parse(notation), multipliers, dtype


def rates_of(name: str) -> np.ndarray:
    """The learning rates; 0 is a division by 0 for Ftrl, in Keras too. Some optimizers need larger ones to move."""
    rates = problem()[3]
    if "Ftrl" in CASES[name][0]:
        rates = np.where(rates == 0, 0.02, rates)
    return rates * (50 if "Adadelta" in CASES[name][0] else 1)


def problem() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Initial weights, gradients per step, the embedding's rows per step, learning rates."""
    random = np.random.default_rng(11)
    weights = {name: random.normal(size=shape) for name, shape in SHAPES.items()}
    scale = np.exp(random.normal(size=STEPS))
    gradients = {}
    for name, shape in SHAPES.items():
        rows = (6, shape[1]) if name.startswith("embedding") else shape
        gradients[name] = random.normal(size=(STEPS, *rows)) * scale.reshape(-1, *[1] * len(rows))
    # Changing, constant for a while, and once 0.
    rates = 0.02 * (1.2 + np.cos(np.arange(STEPS) / 4))
    rates[30:35], rates[60:75], rates[80] = 0.03, 0.01, 0.0
    return weights, gradients, random.integers(0, 5, (STEPS, 6)), rates


TENSORFLOW = """
import inspect, sys
import numpy as np, keras, tensorflow as tf
sys.path.insert(0, sys.argv[1])
from test_optimizers import *
from harness.backends.tensorflow.optimizers import PLAIN, apply, build_optimizer, finish, iterations, load_slots, slots

weights, gradients, rows, _ = problem()
results = {}

def variables_of(dtype):
    return [keras.Variable(value, dtype=dtype, name=name.replace("/", "_")) for name, value in weights.items()]

def gradients_at(step, dtype):
    found = []
    for name, values in gradients.items():
        gradient = tf.constant(values, dtype)[step]
        if name.startswith("embedding"):
            gradient = tf.IndexedSlices(gradient, tf.constant(rows)[step], SHAPES[name])
        found.append(gradient)
    return found

def player(optimizer, variables, multipliers, dtype, mode, rates):
    table = tf.constant(rates, dtype)
    if mode == "eager":
        return lambda start, stop: [apply(optimizer, gradients_at(step, dtype), variables, rates[step], multipliers)
                                    for step in range(start, stop)]
    def body(step):
        apply(optimizer, gradients_at(step, dtype), variables, table[step], multipliers)
        return [step + 1]
    @tf.function(jit_compile=mode == "xla")
    def loop(start, stop):
        tf.while_loop(lambda step: step < stop, body, [start], parallel_iterations=1)
    return lambda start, stop: loop(tf.constant(start), tf.constant(stop))

def keep(key, optimizer, variables):
    for name, variable in zip(weights, variables):
        results[f"{key}|weights|{name}"] = variable.numpy()
    for slot, arrays in slots(optimizer, variables).items():
        for name, array in zip(weights, arrays, strict=True):
            if array is not None:
                results[f"{key}|{slot}|{name}"] = array
    assert iterations(optimizer) in (HALF, STEPS)

def run(name, mode, fused=False):
    spec, multipliers, dtype = spec_of(name)
    keras.config.set_floatx(dtype)
    variables = variables_of(dtype)
    excluded = [v for v, full in zip(variables, weights) if not spec.decays(full)]
    make = lambda: build_optimizer(spec, dtype, no_decay=excluded, fused=fused)
    optimizer = make()
    optimizer.build(variables)
    play = player(optimizer, variables, multipliers, dtype, mode, rates_of(name))
    play(0, HALF)
    key = f"{name}|{mode}{'_fused' if fused else ''}"
    keep(key + "|half", optimizer, variables)
    if mode == "loop" and not fused and name in XLA:
        # The second half by a new optimizer that took over the slots of the first.
        second = make()
        second.build(variables)
        load_slots(second, variables, slots(optimizer, variables), iterations(optimizer))
        optimizer, play = second, player(second, variables, multipliers, dtype, mode, rates_of(name))
    play(HALF, STEPS)
    keep(key + "|end", optimizer, variables)
    finish(optimizer, variables)
    keep(key + "|finished", optimizer, variables)

def run_stock(name):
    spec, _, dtype = spec_of(name)
    variables = variables_of(dtype)
    cls = getattr(keras.optimizers, type(spec).__name__)
    defaults = {key: item.default for key, item in inspect.signature(cls).parameters.items()}
    arguments = {
        key: np.float64(value) if isinstance(value, float) and key not in PLAIN.get(type(spec), ()) else value
        for key, value in (defaults | {key: getattr(spec, key) for key in type(spec).model_fields}).items()
        if key not in ("kwargs", "learning_rate", "exclude_from_weight_decay")
    }
    keras.config.set_floatx(dtype)
    optimizer = cls(learning_rate=np.float64(0), **arguments)
    wrapper = next(iter(CASES[name][0]))
    if wrapper == "LossScaleOptimizer":
        given = {key: item for key, item in CASES[name][0][wrapper].items() if key != "inner_optimizer"}
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, **given)
    rates = rates_of(name)
    if spec.exclude_from_weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(spec.exclude_from_weight_decay))
    optimizer.build(variables)
    table = tf.constant(rates, dtype)
    def body(step):
        optimizer.learning_rate.assign(table[step])
        # As its train step does it: the wrapper scales the loss, and with it the gradients.
        scale = optimizer.scale_loss(1.0) if wrapper == "LossScaleOptimizer" else 1.0
        dense = [tf.convert_to_tensor(g) * tf.cast(scale, dtype) for g in gradients_at(step, dtype)]
        optimizer.apply(dense, variables)
        return [step + 1]
    tf.function(lambda: tf.while_loop(lambda step: step < STEPS, body, [tf.constant(0)], parallel_iterations=1))()
    if wrapper == "LossScaleOptimizer":
        assert float(optimizer.dynamic_scale) == 2.0**17  # it grew twice
    for full, variable in zip(weights, variables):
        results[f"{name}|stock|end|weights|{full}"] = variable.numpy()
    optimizer.finalize_variable_values(variables)
    for full, variable in zip(weights, variables):
        results[f"{name}|stock|finished|weights|{full}"] = variable.numpy()

for name in sys.argv[3:]:
    _, multipliers, dtype = CASES[name]
    run(name, "loop")
    if has_kernel(name):
        run(name, "loop", fused=True)
    if name in EAGER:
        run(name, "eager")
    if name in XLA:
        run(name, "xla")
        if has_kernel(name):
            run(name, "xla", fused=True)
    if multipliers is None and dtype == "float64":
        run_stock(name)
np.savez(sys.argv[2], **results)
"""

PYTORCH = """
import sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from test_optimizers import *
from harness.backends.pytorch.optimizers import OptimizedVariable, build_optimizer

torch.set_num_threads(1)
of_tensorflow = dict(np.load(sys.argv[2]))
weights, gradients, rows, _ = problem()
results = {}
same = (lambda pieces: pieces[0], lambda array: (array,))
LAYOUTS = {
    "dense/kernel": (lambda pieces: pieces[0].T, lambda array: (array.T,)),
    "gru/bias": (lambda pieces: np.stack(pieces), lambda array: (array[0], array[1])),
    "conv/kernel": (lambda pieces: pieces[0].transpose(2, 3, 1, 0), lambda array: (array.transpose(3, 2, 0, 1),)),
}

def variables_of(spec, multipliers, dtype, values):
    made = []
    for index, (name, value) in enumerate(values.items()):
        to_keras, to_torch = LAYOUTS.get(name, same)
        parameters = tuple(torch.nn.Parameter(torch.tensor(np.array(piece, order="C"), dtype=getattr(torch, dtype)))
                           for piece in to_torch(value))
        factor = 1.0 if multipliers is None else multipliers[index]
        made.append(OptimizedVariable(name, parameters, factor, spec.decays(name), to_keras, to_torch))
    return made

def play(optimizer, variables, start, stop, rates):
    for step in range(start, stop):
        optimizer.zero_grad()
        for variable in variables:
            gradient = gradients[variable.name][step]
            if variable.name.startswith("embedding"):
                dense = np.zeros(SHAPES[variable.name])
                np.add.at(dense, rows[step], gradient)
                gradient = dense
            for parameter, piece in zip(variable.parameters, variable.to_torch(gradient), strict=True):
                parameter.grad = torch.tensor(np.array(piece, order="C"), dtype=parameter.dtype)
        optimizer.step(float(rates[step]))

def keep(key, optimizer, variables):
    for variable in variables:
        pieces = tuple(parameter.detach().numpy() for parameter in variable.parameters)
        results[f"{key}|weights|{variable.name}"] = np.array(variable.to_keras(pieces))
    for slot, arrays in optimizer.slots().items():
        for name, array in arrays.items():
            results[f"{key}|{slot}|{name}"] = array

for name in sys.argv[4:]:
    spec, multipliers, dtype = spec_of(name)
    for mode in ("fused", "foreach"):
        variables = variables_of(spec, multipliers, dtype, weights)
        optimizer = build_optimizer(spec, variables, dtype, fused=mode == "fused")
        play(optimizer, variables, 0, HALF, rates_of(name))
        keep(f"{name}|{mode}|half", optimizer, variables)
        # The second half from TensorFlow's checkpoint of the first.
        first = {full: of_tensorflow[f"{name}|loop|half|weights|{full}"] for full in SHAPES}
        variables = variables_of(spec, multipliers, dtype, first)
        optimizer = build_optimizer(spec, variables, dtype, fused=mode == "fused")
        slots = {slot: {full: of_tensorflow[key] for full in SHAPES
                        if (key := f"{name}|loop|half|{slot}|{full}") in of_tensorflow} for slot in spec.slots()}
        optimizer.load(slots, HALF)
        play(optimizer, variables, HALF, STEPS, rates_of(name))
        assert optimizer.iterations == STEPS
        keep(f"{name}|{mode}|end", optimizer, variables)
        optimizer.finish()
        keep(f"{name}|{mode}|finished", optimizer, variables)
np.savez(sys.argv[3], **results)
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, chosen: Chosen) -> dict[str, np.ndarray]:
    folder, here = tmp_path_factory.mktemp("optimizers"), str(Path(__file__).parent)
    first, second = str(folder / "tensorflow.npz"), str(folder / "pytorch.npz")
    run_source("tensorflow", TENSORFLOW, here, first, *chosen("name"))
    run_source("pytorch", PYTORCH, here, first, second, *chosen("name"))
    return {**np.load(first), **np.load(second)}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.sweep] if name in SWEPT else [])
                                  for name in CASES])
def test_every_way_of_playing_ends_alike(name: str, played: dict[str, np.ndarray]) -> None:
    """Weights and slots, after the first half and at the end, of every mode of both frameworks."""
    dtype = CASES[name][2]
    kind = type(spec_of(name)[0]).__name__
    # Ftrl divides sums that nearly cancel: 6e-6 in float32.
    tolerance = LOOSE.get(kind, 1e-12) if dtype == "float64" else 2e-5 if kind == "Ftrl" else 5e-6
    compared = 0
    for key, expected in played.items():
        case_name, mode, *rest = key.split("|")
        if case_name != name or mode != "loop":
            continue
        for other in ("loop_fused", "eager", "xla", "xla_fused", "stock", "fused", "foreach"):
            found = played.get("|".join((name, other, *rest)))
            if found is None:
                continue
            compared += 1
            assert found.dtype == expected.dtype == np.dtype(dtype), key
            # RMSprop's velocity - mean^2 is a difference of equals, whose rounding the division enlarges.
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=f"{other}: {key}")
    spec, tensors = spec_of(name)[0], 0
    for full, shape in SHAPES.items():
        # Adafactor's vectors are not factored, and what Muon orthogonalizes has no second moment.
        absent = 2 * (kind == "Adafactor" and len(shape) < 2)
        absent += isinstance(spec, Muon) and not spec.uses_adam(full, len(shape))
        tensors += 1 + len(spec.slots()) - absent
    assert compared >= 2 * 3 * tensors  # two torch modes; half, end and finished


def test_the_weights_moved(played: dict[str, np.ndarray], chosen: Chosen) -> None:
    weights, *_ = problem()
    for name in chosen("name"):
        multipliers = CASES[name][1]
        for index, full in enumerate(SHAPES):
            moved = np.abs(played[f"{name}|loop|end|weights|{full}"] - weights[full]).max()
            frozen = multipliers is not None and multipliers[index] == 0
            assert moved < 1e-12 if frozen else moved > 1e-3, (name, full)


def test_every_optimizer_has_a_case() -> None:
    assert {type(spec_of(name)[0]).__name__ for name in CASES} == set(OPTIMIZERS.classes)
