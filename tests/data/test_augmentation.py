"""Augmentation: seeded, appended to the train split only, and what it says it does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import load
from harness.data.augmentation import augment
from harness.data.dataset import Arrays
from harness.errors import DataError
from harness.spec.preparation import Augmentation

IMAGES = np.random.default_rng(0).integers(1, 256, (30, 6, 7, 3)).astype(np.uint8)


def _augmented(x, *steps, **arguments):
    arrays = Arrays({"x": x}, {"y": np.arange(len(x))}, np.linspace(0, 1, len(x)))
    return augment(arrays, Augmentation(steps=list(steps), **arguments))


@pytest.mark.parametrize("step", ["flip", "shift", "crop", "noise"])
@pytest.mark.parametrize(
    "x", [IMAGES, IMAGES[..., 0].astype(np.float32)], ids=["bytes_with_channels", "floats"]
)
def test_copies_follow_the_originals_and_the_seed_decides(step, x):
    first = _augmented(x, step, copies=2, seed=3)
    assert first.examples == 90
    assert (first.x["x"][:30] == x).all()
    assert first.y["y"].tolist() == [*range(30)] * 3
    assert (first.sample_weight[30:60] == first.sample_weight[:30]).all()
    assert first.x["x"].shape[1:] == x.shape[1:]
    assert (_augmented(x, step, copies=2, seed=3).x["x"] == first.x["x"]).all()
    assert (_augmented(x, step, copies=2, seed=4).x["x"] != first.x["x"]).any()
    assert (first.x["x"][30:60] != first.x["x"][60:]).any(), "every copy has its own draws"


def test_flips():
    always = _augmented(IMAGES, {"flip": {"probability": 1}}).x["x"][30:]
    assert (always == IMAGES[:, :, ::-1]).all()
    both = _augmented(IMAGES, {"flip": {"probability": 1, "direction": "both"}}).x["x"][30:]
    assert (both == IMAGES[:, ::-1, ::-1]).all()
    some = _augmented(IMAGES, "flip").x["x"][30:]
    flipped = [(a == b[:, ::-1]).all() for a, b in zip(some, IMAGES, strict=True)]
    kept = [(a == b).all() for a, b in zip(some, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 5 < sum(flipped) < 25


@given(st.integers(0, 5), st.integers(0, 6), st.integers(0, 1000))
def test_a_wrapped_shift_is_a_roll_within_bounds(height, width, seed):
    moved = _augmented(IMAGES, {"shift": {"height": height, "width": width, "fill": "wrap"}}, seed=seed).x[
        "x"
    ][30:]
    for image, original in zip(moved, IMAGES, strict=True):
        rolls = [
            (original == np.roll(image, (dy, dx), (0, 1))).all()
            for dy in range(-height, height + 1)
            for dx in range(-width, width + 1)
        ]
        assert any(rolls)


def test_a_constant_shift_brings_in_zeros_and_moves_the_rest():
    moved = _augmented(IMAGES, {"shift": {"height": 2, "width": 0}}).x["x"][30:]
    seen = set()
    for image, original in zip(moved, IMAGES, strict=True):
        fitting = [
            offset
            for offset in range(-2, 3)
            if (
                image[max(0, offset) : 6 + min(0, offset)] == original[max(0, -offset) : 6 + min(0, -offset)]
            ).all()
            and (image == 0).all(axis=(1, 2)).sum() == abs(offset)
        ]
        assert len(fitting) == 1
        seen.update(fitting)
    assert seen == {-2, -1, 0, 1, 2}


def test_a_crop_keeps_only_pixels_of_its_window():
    whole = _augmented(IMAGES, {"crop": {"share": 1.0}}).x["x"][30:]
    assert (whole == IMAGES).all()
    rows = np.broadcast_to(np.arange(8)[:, None], (50, 8, 8)).astype(np.float32)
    for image in _augmented(rows, {"crop": {"share": 0.5}}).x["x"][50:]:
        assert image.max() - image.min() == 3, "four of eight rows"
        assert (np.diff(image[:, 0]) >= 0).all()


def test_noise_has_the_asked_spread_and_no_bias():
    x = np.zeros((200, 10, 10), np.float32)
    noise = _augmented(x, {"noise": {"stddev": 0.5}}).x["x"][200:]
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(0.5, rel=0.03)


def test_only_the_train_split_changes_and_statistics_come_from_the_originals():
    prepared = {"source": "digits", "prepare": ["standardise"]}
    plain = load(prepared)
    more = load({**prepared, "augment": [{"shift": {"height": 1, "width": 1}}, {"noise": {"stddev": 2}}]})
    assert more.examples == {"train": 2 * 1257, "validation": 270, "test": 270}
    assert (more.train.x["x"][:1257] == plain.train.x["x"]).all()
    assert (more.test.x["x"] == plain.test.x["x"]).all()
    assert any("augmented" in note for note in more.notes)


def test_what_cannot_be_augmented():
    with pytest.raises(DataError, match="flip needs images"):
        load({"source": "wine", "augment": ["flip"]})
    pairs = Arrays({"x": IMAGES}, {"y": IMAGES})
    with pytest.raises(DataError, match="targets are images"):
        augment(pairs, Augmentation(steps=["shift"]))
    tokens = Arrays({"x": np.ones((5, 4), np.int64)}, {"y": np.arange(5)})
    with pytest.raises(DataError, match="noise needs numbers"):
        augment(tokens, Augmentation(steps=["noise"]))
