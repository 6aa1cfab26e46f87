"""The hash behind masks and noise: its statistics, and that both frameworks draw the reference's bits."""


import numpy as np
import pytest
from scipy import stats

from harness.plan import randomness
from tests.forked import run_source

KEY = np.array([-123456789, 987654321], np.int32)


def test_keep_fraction_is_one_minus_rate():
    keys = randomness.layer_keys(3, 0, "dropout", 0, 50)
    for rate in (0.1, 0.5, 0.9):
        kept = sum(int((randomness.bits(key, 20_000) >= randomness.threshold(rate)).sum()) for key in keys)
        total = 50 * 20_000
        assert abs(kept / total - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / total)


def test_bits_are_uniform_and_uncorrelated():
    drawn = randomness.bits(KEY, 2**17)
    counts = np.bincount(drawn.view(np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    values = drawn.astype(np.float64)
    for lag in (1, 2, 10, 28):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4 / np.sqrt(len(values))


def test_steps_and_layers_are_independent():
    first, second = randomness.layer_keys(0, 0, "a", 0, 2)
    other = randomness.layer_keys(0, 0, "b", 0, 1)[0]
    drawn = [randomness.bits(key, 2**16).astype(np.float64) for key in (first, second, other)]
    correlation = np.corrcoef(drawn)
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(2**16)


def test_normal_table_is_standard_normal():
    table = randomness.normal_table()
    assert len(table) == 2**16
    assert abs(table.mean()) < 1e-12
    assert table.var() == pytest.approx(1, abs=1e-12)
    assert stats.kurtosis(table) == pytest.approx(0, abs=0.01)


def test_the_same_seed_gives_the_same_keys_and_another_seed_others():
    assert np.array_equal(randomness.layer_keys(1, 0, "d", 0, 5), randomness.layer_keys(1, 0, "d", 0, 5))
    assert not np.array_equal(randomness.layer_keys(1, 0, "d", 0, 5), randomness.layer_keys(2, 0, "d", 0, 5))


TENSORFLOW = """
import numpy as np, tensorflow as tf, sys
from harness.backends.tensorflow import randomness
key = tf.constant([-123456789, 987654321], tf.int32)
eager = randomness.bits(key, tf.constant([7, 11, 13])).numpy()
xla = tf.function(randomness.bits, jit_compile=True)(key, tf.constant([7, 11, 13])).numpy()
noise = randomness.normal(key, tf.constant([7, 11, 13]), "float64").numpy()
np.savez(sys.argv[1], eager=eager, compiled=xla, noise=noise)
"""

PYTORCH = """
import numpy as np, torch, sys
from harness.backends.pytorch import randomness
key = torch.tensor([-123456789, 987654321], dtype=torch.int32)
bits = randomness.bits(key, (7, 11, 13)).numpy()
keyed = randomness.Keyed(); keyed.key = key; keyed.use_normal_table(torch.float64, torch.device("cpu"))
np.savez(sys.argv[1], eager=bits, compiled=bits, noise=keyed.normal((7, 11, 13)).numpy())
"""


@pytest.mark.frameworks
@pytest.mark.parametrize(("framework", "program"), [("tensorflow", TENSORFLOW), ("pytorch", PYTORCH)],
                         ids=["tensorflow", "pytorch"])
def test_frameworks_draw_the_same_bits(framework: str, program: str, tmp_path):
    out = tmp_path / "bits.npz"
    run_source(framework, program, out)
    drawn = np.load(out)
    expected = randomness.bits(KEY, 7 * 11 * 13)
    assert np.array_equal(drawn["eager"].ravel(), expected)
    assert np.array_equal(drawn["compiled"].ravel(), expected)
    index = (expected.astype(np.int64) >> 16) & 0xFFFF
    assert np.array_equal(drawn["noise"].ravel(), randomness.normal_table()[index])


def test_uniform_numbers_are_those_of_float32_and_spread_evenly():
    numbers = randomness.uniform(KEY, 2**16)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.array_equal(numbers, numbers.astype(np.float32))
    counts = np.histogram(numbers, 64, (0, 1))[0]
    assert np.abs(counts - 1024).max() < 6 * 32  # six standard deviations
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.02


def test_the_arrays_of_a_call_have_nothing_to_do_with_each_other():
    first, second, third = (randomness.uniform(KEY, 2**14, stream) for stream in range(3))
    assert np.array_equal(randomness.bits(KEY, 8), randomness.bits(KEY, 8, 0))
    assert np.abs(np.corrcoef([first, second, third]) - np.eye(3)).max() < 0.04


def test_whole_numbers_and_orders():
    numbers = randomness.integers(KEY, 7000, 3, 10)
    assert set(numbers.tolist()) == set(range(3, 10))
    assert np.abs(np.bincount(numbers)[3:] - 1000).max() < 200
    assert sorted(randomness.order(KEY, 100).tolist()) == list(range(100))
    assert randomness.order(KEY, 100).tolist() != randomness.order(KEY, 100, 1).tolist()
