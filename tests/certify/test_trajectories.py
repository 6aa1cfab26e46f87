"""R3, R4 and the signs of bug or noise: on trajectories that are made up, and on two trainings with both frameworks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.backends.contract import State
from harness.certify.certificate import FAILED, PASSED, SKIPPED, Certificate, Phase
from harness.certify.distances import FLOORS, LOSS, STATISTICS, WEIGHTS, Pair, distance_again
from harness.certify.samples import (
    OF_ONE,
    Distance,
    Program,
    Sampler,
    Trajectory,
    read_trajectory,
    write_trajectory,
)
from harness.certify.signs import first_jump, growth, precision_sign, signs
from harness.certify.trajectories import FACTOR, HORIZON, UNEQUAL, timed_rung, trajectory_rung
from harness.data import from_arrays
from harness.models import load_model
from harness.plan.initial import initial_weights
from harness.plan.plan import Tape
from harness.records import strict_json
from harness.runner.certifying import write_subject
from harness.runner.trajectory import VARIANTS
from harness.runner.workers import Job, Worker
from harness.spec.recipe import Recipe
from harness.training.state import read_state

STEPS = 40
NAMES = ("dense/kernel", "dense/bias", "norm/moving_mean", "frozen/kernel")
UPDATED = frozenset(NAMES[:2])
SIZES = (60, 10, 10, 20)


def made(backend, noise=2e-16, rate=1.02, seed=1, controls=3, dtype="float64"):
    """A training whose weights wander, the same in both backends but for noise that grows by `rate` a step."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    weights = []
    for name, size in zip(NAMES, SIZES, strict=True):
        moves = shared.normal(size=(STEPS + 1, size))
        moves[1:] *= 0.0 if name.startswith("frozen") else 0.01
        weights.append(moves.cumsum(0))
    sizes = noise * rate ** np.arange(STEPS + 1)

    def moved(rng):
        return [array if name.startswith("frozen") else array + sizes[:, None] * rng.normal(size=array.shape)
                for name, array in zip(NAMES, weights, strict=True)]

    base = moved(own) if seed else weights
    losses = 1 + np.exp(-np.arange(STEPS) / 10)
    losses = losses * (1 + sizes[1:] * own.normal(size=STEPS))
    kept = {}
    for number in range(controls):
        other = moved(own)
        squares = np.stack([np.square(a - b).sum(1) for a, b in zip(other, base, strict=True)], 1)
        kept[f"one ulp {number + 1}"] = Distance(squares, losses * (1 + sizes[1:] * own.normal(size=STEPS)))
    seeds = Distance(np.stack([2 * np.square(array).sum(1) for array in base], 1), losses * 1.1)
    return Trajectory(backend, dtype, "graph", NAMES, UPDATED, base, losses, kept, seeds)


def pair(**other):
    return Pair(made("tensorflow", seed=1), made("pytorch", seed=2, **other))


def plant(found, step, size, weight=0, loss=0.0):
    """The other backend's training with a difference from a step on, which its controls have as well."""
    found.other.weights[weight][step:] += size
    for played in (found.other, *found.other.controls.values()):
        played.losses[step:] *= 1 + loss
    return found


def test_rounding_that_grows_passes_and_has_its_curves():
    rung, curves = trajectory_rung(pair())
    assert rung.status == PASSED
    assert [curve.quantity for curve in curves] == [WEIGHTS, STATISTICS, LOSS]
    assert rung.checked == 2 * (STEPS + 1) + STEPS + 2
    assert rung.details["horizon"] is None
    assert rung.details["judged to"] == STEPS
    # Two independent noises of one size: as far apart as a control is from its base.
    assert 0.5 < rung.details["controls"] < 2
    assert curves[0].steps == tuple(range(STEPS + 1))
    assert curves[2].steps == tuple(range(1, STEPS + 1))
    assert set(curves[0].controls) == {f"{name}, one ulp {n}" for name in ("tensorflow", "pytorch") for n in (1, 2, 3)}


def test_the_limit_follows_the_largest_control_of_either_so_far():
    found = pair()
    for side, far in ((found.other, 1e-8), (found.reference, 1e-9)):
        # These went far at step 10, and came back.
        side.controls["one ulp 2"].squares[10, :2] = np.square(far) * 100
    _, curves = trajectory_rung(found)
    apart = curves[0].controls["pytorch, one ulp 2"][10]
    assert curves[0].limit[9] == FLOORS["float64"]
    assert curves[0].limit[10:] == (FACTOR * apart,) * (STEPS - 9)


def test_a_framework_that_goes_far_from_itself_alone_excuses_nothing():
    found = pair()
    found.other.controls["one ulp 2"].squares[10, :2] = 1.0
    _, curves = trajectory_rung(found)
    assert curves[0].limit[10:] == pytest.approx((UNEQUAL * FLOORS["float64"],) * (STEPS - 9))


@pytest.mark.parametrize("step", [0, 1, 17, STEPS])
def test_a_planted_millionth_fails_at_its_step(step):
    rung, _ = trajectory_rung(plant(pair(), step, 1e-6))
    assert rung.status == FAILED
    assert rung.details["first"] == {"quantity": WEIGHTS, "step": step, "weight": "dense/kernel",
                                     "program": "lock-step, uncompiled"}
    assert [item["weight"] for item in rung.details["weights"]] == ["dense/kernel"]
    assert rung.failed[0].what == f"weights after step {step}"
    assert rung.failed[0].difference == pytest.approx(1e-6, rel=1.5)
    assert len(rung.failed) == STEPS + 1 - step


def test_moving_statistics_and_frozen_weights_and_losses_are_judged_by_themselves():
    found = pair()
    found.reference.weights[2] += 1e6  # large beside the weights, and yet theirs are seen
    found.other.weights[2] += 1e6
    assert trajectory_rung(plant(found, 5, 1e-7))[0].details["first"]["weight"] == "dense/kernel"
    assert trajectory_rung(plant(pair(), 7, 1e-6, weight=2))[0].details["first"] == {
        "quantity": STATISTICS, "step": 7, "weight": "norm/moving_mean", "program": "lock-step, uncompiled"}
    moved = trajectory_rung(plant(pair(), 3, 1e-6, weight=3))[0]  # trained in one of them only
    assert moved.details["first"]["weight"] == "frozen/kernel"
    lost = trajectory_rung(plant(pair(), 11, 0.0, loss=1e-6))[0]
    assert lost.failed[0].what == "loss of step 12"
    assert lost.details["first"] == {"quantity": LOSS, "step": 12, "weight": None, "program": "lock-step, uncompiled"}


def test_a_horizon_is_found_and_nothing_beyond_it_is_judged():
    found = Pair(made("tensorflow", 1e-12, 2.5, seed=1), made("pytorch", 1e-12, 2.5, seed=2))
    rung, curves = trajectory_rung(found)
    horizon = rung.details["horizon"]
    largest = np.max(list(curves[0].controls.values()), axis=0)
    reached = largest >= HORIZON * np.array(curves[0].seeds)
    assert 20 < horizon < STEPS
    assert reached[horizon]
    assert not reached[:horizon].any()
    assert rung.status == PASSED
    assert rung.details["judged to"] == horizon - 1
    late = plant(found, horizon + 2, 1e3)
    assert trajectory_rung(late)[0].status == PASSED
    assert trajectory_rung(plant(found, horizon - 3, 1e3))[0].status == FAILED


def test_the_first_step_counts_even_where_noise_is_everything():
    found = Pair(made("tensorflow", 1.0, 1.0, seed=1), made("pytorch", 1.0, 1.0, seed=2))
    assert trajectory_rung(found)[0].details["horizon"] == 0
    assert trajectory_rung(plant(found, 1, 1e3))[0].status == FAILED


def test_rows_in_another_order_are_no_control_where_the_model_looks_at_it():
    found = pair()
    found.other.controls["reversed rows"] = replace_losses(found.other.controls["one ulp 1"], 1e-3)
    found.other.controls["reversed rows"].squares[:] = 1.0
    assert trajectory_rung(plant(found, 5, 1e-6))[0].status == FAILED
    assert not any("reversed" in name for name in trajectory_rung(found)[1][0].controls)
    found.other.controls["reversed rows"] = replace_losses(found.other.controls["one ulp 1"], 0.0)
    assert any("reversed" in name for name in trajectory_rung(found)[1][0].controls)


def replace_losses(distance, by):
    return Distance(distance.squares.copy(), distance.losses * (1 + by))


def test_nan_in_both_at_one_step_is_no_verdict_and_in_one_a_failure():
    both = pair()
    for side in both.sides:
        side.losses[20:] = np.nan
    rung, _ = trajectory_rung(both)
    assert rung.status == SKIPPED
    assert rung.reason == "the loss is NaN in both from step 21"
    assert rung.details["judged to"] == 20
    assert rung.details["not finite from"] == 21
    assert trajectory_rung(plant(both, 4, 1e-6))[0].status == FAILED
    one = pair()
    one.other.losses[20:] = np.nan
    rung, _ = trajectory_rung(one)
    assert rung.status == FAILED
    assert "not finite from" not in rung.details
    assert trajectory_rung(one, until=20)[0].status == PASSED
    assert rung.failed[-1].what == "loss NaN in pytorch from step 21, not in tensorflow"
    assert rung.details["first"] == {"quantity": LOSS, "step": 21, "weight": None, "program": "lock-step, uncompiled"}
    weights = pair()
    weights.reference.weights[1][6:] = np.inf
    assert trajectory_rung(weights)[0].failed[-1].what == \
        "weights dense/bias NaN in tensorflow from step 6, not in pytorch"
    # Its controls are NaN as well: that is no horizon.
    for distance in weights.reference.controls.values():
        distance.squares[6:] = np.nan
        distance.losses[6:] = np.nan
    assert trajectory_rung(weights)[0].status == FAILED
    assert trajectory_rung(weights)[0].details["horizon"] is None
    later = pair()
    later.reference.losses[20:] = np.nan
    later.other.losses[21:] = np.nan
    assert trajectory_rung(later)[0].status == FAILED


def test_what_a_session_keeps_beside_its_state_is_a_failure_whatever_the_controls_say():
    found = pair(noise=1.0)  # as wild as what it is a control of
    assert trajectory_rung(found)[0].details["judged to"] == 1
    found.other.again = 1e-6
    rung, _ = trajectory_rung(found)
    assert rung.status == FAILED
    assert rung.failed[-1].what == "the first steps, played again from the same state, in pytorch"
    found.other.again = 1e-13
    assert "the first steps" not in str(trajectory_rung(found)[0].failed)


def test_a_training_that_breaks_breaks_again():
    nan, inf = np.nan, np.inf
    before = [np.array([1.0, nan, 3.0]), np.array([inf, 2.0]), np.array([nan])]
    assert distance_again([array.copy() for array in before], before) == 0.0
    moved = [np.array([1.0, nan, 3.0]), np.array([5.0, 2.0 + 1e-6]), np.array([nan])]
    assert distance_again(moved, [moved[0], np.array([5.0, 2.0]), moved[2]]) == pytest.approx(1e-6 / np.sqrt(39))
    for broken in ([np.array([nan, nan, 3.0]), *before[1:]], [before[0], np.array([nan, 2.0]), before[2]],
                   [before[0], before[1], np.array([0.0])]):
        assert not distance_again(broken, before) <= 1e-11


def timed(side, steps=(1, 5, STEPS)):
    return Program("XLA loop", steps, [array[list(steps)].copy() for array in side.weights], side.losses)


def test_a_program_that_leaves_an_update_out_is_found_by_its_weights():
    found = pair(dtype="float32", noise=1e-8)
    found.reference.dtype = "float32"
    for side in found.sides:
        side.timed = timed(side)
    rung, curves = timed_rung(found)
    assert rung.status == PASSED
    assert {curve.program for curve in curves if curve.quantity == WEIGHTS} == {
        "lock-step, uncompiled", "both as timed",
        *(f"{name} as timed (XLA loop) against lock-step, uncompiled" for name in ("tensorflow", "pytorch"))}
    found.other.timed.weights[1][1:] = found.other.weights[1][0]  # the bias stays where it was
    rung, _ = timed_rung(found)
    assert rung.status == FAILED
    assert rung.details["first"] == {"quantity": WEIGHTS, "step": 5, "weight": "dense/bias",
                                     "program": "pytorch as timed (XLA loop) against lock-step, uncompiled"}
    found.other.timed.weights[0][2, 3] = np.nan
    assert timed_rung(found)[0].status == FAILED


def test_other_weights_are_not_compared():
    found = pair()
    found.other.names = (*NAMES[:3], "other/kernel")
    rung, curves = trajectory_rung(found)
    assert (rung.status, curves) == (FAILED, ())
    assert "not the same weights" in rung.reason
    assert rung.failed[0].what == rung.reason


# -- the signs

def tape():
    epochs = np.repeat([0, 1], [21, STEPS - 21]).astype(np.int32)
    sizes = np.where(np.arange(STEPS) == 20, 7, 32).astype(np.int32)
    rates = np.where(np.arange(STEPS) < 29, 0.01, 0.001)
    return Tape(np.zeros((STEPS, 32), np.int32), sizes, rates, epochs, np.zeros((STEPS, 0, 2), np.int32))


def curve(found):
    return trajectory_rung(found)[1][0]


def test_a_jump_is_found_and_says_what_happens_there():
    assert first_jump(curve(pair())) is None
    assert first_jump(curve(plant(pair(), 22, 1e-4))) == 22
    assert "at step 22; there epoch 2 begins, the batch has 32 examples after 7" in \
        signs(curve(plant(pair(), 22, 1e-4)), tape=tape())[2]
    assert "the learning rate is 0.001 after 0.01" in signs(curve(plant(pair(), 30, 1e-4)), tape=tape())[2]
    # A difference from the first step on is no jump, and neither is one that the controls take part in.
    assert first_jump(curve(plant(pair(), 1, 1e-4))) is None
    together = plant(pair(), 22, 1e-4)
    for side in together.sides:
        side.controls["one ulp 1"].squares[22:, 0] = 60 * 1e-8
    assert first_jump(curve(together)) is None


def test_the_three_signs():
    precision, grown, jump = signs(curve(pair()), (2e-15, 9e-7))
    assert precision.endswith("(rounding)")
    assert "= 4e+08" in precision or "= 5e+08" in precision
    assert grown.endswith("(rounding)")
    assert jump.startswith("jump: none")
    precision, grown, jump = signs(curve(plant(pair(), 1, 3e-4)), (3e-4, 3e-4))
    assert precision.endswith("(a difference in meaning)")
    assert "there at step 1 already" in grown
    assert "= 1;" in precision
    assert "up to step 21, at step 22" in signs(curve(plant(pair(), 22, 1e-4)))[1]
    assert "not measured" in signs(curve(pair()))[0]
    assert "no difference at all in float64" in signs(curve(pair()), (0.0, 1e-7))[0]


def test_growth_is_the_factor_of_a_step():
    assert growth(tuple(range(30)), 1e-15 * 1.3 ** np.arange(30)) == pytest.approx(1.3)
    assert growth((1, 2, 3), (1.0, 2.0, 4.0)) is None


# -- what is kept

def test_the_sample_is_the_same_everywhere_and_bounded():
    shapes = {f"layer_{n}/kernel": (200, 100) for n in range(100)} | {"small/bias": (7,)}
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    kept = Sampler(shapes)(weights)
    again = Sampler(dict(shapes))({name: array.copy() for name, array in weights.items()})
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))
    assert sum(map(len, kept)) < 260_000
    assert len(kept[-1]) == 7
    one = Sampler({"a/kernel": (100, 100)})({"a/kernel": np.arange(10_000.0).reshape(100, 100)})[0]
    assert len(set(one)) == OF_ONE


def test_a_trajectory_comes_back_from_its_file(tmp_path):
    before = made("pytorch")
    before.timed = timed(before)
    write_trajectory(tmp_path / "a.npz", before)
    after = read_trajectory(tmp_path / "a.npz")
    assert (after.backend, after.dtype, after.names, after.updated, after.timed.steps) == (
        "pytorch", "float64", NAMES, UPDATED, (1, 5, STEPS))
    assert list(after.controls) == list(before.controls)
    assert np.array_equal(after.controls["one ulp 3"].squares, before.controls["one ulp 3"].squares)
    assert np.array_equal(after.seeds.losses, before.seeds.losses)
    for ours, theirs in ((after.weights, before.weights), (after.timed.weights, before.timed.weights)):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    bare = replace(before, seeds=None, timed=None, controls={})
    write_trajectory(tmp_path / "b.npz", bare)
    assert read_trajectory(tmp_path / "b.npz").seeds is None
    rung, curves = trajectory_rung(Pair(bare, bare))
    assert (rung.status, curves[0].seeds, curves[0].horizon) == (PASSED, (), None)


def test_rung_and_curves_fit_a_certificate():
    one = pair()
    one.other.losses[20:] = np.nan
    rung, curves = trajectory_rung(one)
    phase = Phase("training", (rung,), curves, signs(curves[0]))
    certificate = Certificate("different", ("tensorflow", "pytorch"), {}, (phase,))
    text = strict_json.dumps(certificate.to_data())
    back = Certificate.from_data(strict_json.to_numbers(strict_json.loads(text)))
    assert back.phases[0].curves[0] == curves[0]
    assert back.phases[0].rungs[0].failed[-1].difference == float("inf")


# -- both frameworks

RECIPE = {"loss": "sparse_categorical_crossentropy", "optimizer": {"Adam": {"learning_rate": 0.001}}, "batch_size": 32,
          "epochs": 3}
PLAYED = 26


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """Two models of the library on digits: 12 steps an epoch, the last with 13 examples."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, y = (images.reshape(-1, 8, 8)[:365] / 16.0), labels[:365].astype(np.int64)
    folder = tmp_path_factory.mktemp("subjects")
    models = {"mlp": load_model("mlp", input_shape=(8, 8), units=(32,), batch_normalization=True, dropout=0.2),
              "gru_classifier": load_model("gru_classifier", input_shape=(8, 8), num_classes=10, units=(12,))}
    for name, spec in models.items():
        (folder / name).mkdir()
        write_subject(folder / name, spec, Recipe.parse(RECIPE), [from_arrays(x, y)], State(initial_weights(spec, 0)),
                      seed=0)
    # Its slots begin as a copy of the weights, and its counts do not begin at every loading.
    (folder / "slots").mkdir()
    write_subject(folder / "slots", models["mlp"], Recipe.parse({**RECIPE, "optimizer": "ScheduleFreeAdamW"}),
                  [from_arrays(x, y)], State(initial_weights(models["mlp"], 0)), seed=0)
    return folder


def arguments(folder, model, backend, precision, **more):
    return {"backend": backend, "folder": str(folder / model), "phase": 0, "precision": precision, "steps": PLAYED,
            "execution": {"device": "cpu"}, "timed": precision == "float32", "checkpoints": [1, 5, PLAYED],
            "file": str(folder / model / f"{backend} {precision}.npz"), **more}


@pytest.fixture(scope="module")
def played(subjects):
    """(folder, model -> what the jobs gave). PyTorch also plays a learning rate that is wrong from step 15 on."""
    def run(backend):
        gave = {}
        with Worker(backend) as worker:
            for model in ("mlp", "gru_classifier"):
                for precision in ("float64", "float32"):
                    begun = {"next": str(subjects / model / "start 1.safetensors")} if backend == "tensorflow" else {}
                    job = arguments(subjects, model, backend, precision, **begun)
                    gave[model, precision] = worker.run(Job("harness.runner.trajectory:trajectory_job", job)).unwrap()
            job = arguments(subjects, "slots", backend, "float64", steps=5)
            gave["slots"] = worker.run(Job("tests.certify.jobs:replayed", job)).unwrap()
            if backend == "pytorch":
                job = arguments(subjects, "mlp", backend, "float64", file=str(subjects / "wrong.npz"))
                worker.run(Job("tests.certify.jobs:late_learning_rate", job)).unwrap()
        return gave

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(("tensorflow", "pytorch"), pool.map(run, ("tensorflow", "pytorch")), strict=True))


def read(folder, model, precision):
    return Pair(*(read_trajectory(Path(folder) / model / f"{name} {precision}.npz")
                  for name in ("tensorflow", "pytorch")))


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("model", ["mlp", "gru_classifier"])
def test_both_backends_stay_inside_the_controls(subjects, played, model, precision, capsys):
    found = read(subjects, model, precision)
    rung, curves = (timed_rung if precision == "float32" else trajectory_rung)(found)
    with capsys.disabled():
        largest = np.maximum.accumulate(np.max(list(curves[0].controls.values()), axis=0))
        print(f"\n{model}, {precision}: D(t) of the weights | largest control: " + ", ".join(
            f"{step}: {curves[0].between[step]:.1e} | {largest[step]:.1e}" for step in (0, 1, 2, 5, 10, 20, PLAYED)))
    assert rung.status == PASSED
    # Not only below ten times the controls and a floor: in their midst.
    assert rung.details["controls"] < 4
    assert len(curves[0].controls) >= 10
    assert curves[0].between[0] == 0
    assert min(curves[0].seeds) > 0.01
    for side in found.sides:
        moved = {name: np.sqrt(distance.squares.sum(1)) for name, distance in side.controls.items()}
        assert all(values[1:].max() > 0 for name, values in moved.items() if "optimizer" not in name)
        assert all((moved[f"one ulp {number}"][0] > 0) for number in (1, 2, 3))
        assert moved["one ulp after every step"][0] == 0
        assert np.isfinite(side.losses).all()
        assert len(set(side.losses)) == PLAYED
    assert (found.reference.timed is not None) == (precision == "float32")
    assert played["pytorch"][model, precision]["seconds"].keys() >= {"open", "base", *VARIANTS}


@pytest.mark.frameworks
@pytest.mark.slow
def test_the_state_is_left_with_which_the_next_phase_begins(subjects, played):
    found = read(subjects, "mlp", "float32").reference  # the float32 job was the last to write it
    state = read_state(subjects / "mlp" / "start 1.safetensors")
    assert state.iterations == PLAYED
    assert set(state.slots) == {"m", "v"}
    kept = Sampler({name: state.weights[name].shape for name in found.names})(state.weights)
    assert all(np.array_equal(ours, theirs[-1]) for ours, theirs in zip(kept, found.weights, strict=True))


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_a_session_goes_back_to_its_beginning_slots_and_all(played, backend):
    assert played[backend]["slots"]["farthest"] == 0
    assert played[backend]["slots"]["moved"] > 0.1


@pytest.mark.frameworks
@pytest.mark.slow
def test_a_learning_rate_that_is_wrong_from_a_step_on_is_found_there(subjects, played):
    found = replace(read(subjects, "mlp", "float64"), other=read_trajectory(subjects / "wrong.npz"))
    rung, curves = trajectory_rung(found)
    assert rung.status == FAILED
    assert rung.details["first"]["step"] == 15
    assert first_jump(curves[0]) == 15
    assert rung.failed[0].what == "weights after step 15"


@pytest.mark.parametrize(("errors", "ends"), [
    ((1e-16, 5e-8), "(rounding)"), ((1e-3, 1.1e-3), "(a difference in meaning)"), ((0.0, 5e-8), "(rounding)"),
    ((1e-16, 2e-3), "something computes in less (a difference in meaning)"),
    ((1e-16, 0.0), "1e-16 in float64 (no sign of either)"), (None, "not measured (no sign of either)"),
])
def test_the_sign_of_the_precision(errors, ends):
    assert precision_sign(errors).endswith(ends)
