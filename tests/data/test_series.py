"""Series: in the order of time, windows that leak nothing, reconstruction."""

import numpy as np
import pytest

from harness.data import load
from harness.errors import DataError


@pytest.fixture
def rising(tmp_path):
    """100 rows: the row's number, and its double."""
    path = tmp_path / "rising.csv"
    path.write_text("day,one,two,note\n" + "".join(f"2024-{1 + n // 28:02}-{1 + n % 28:02},{n},{2 * n},x\n"
                                                   for n in range(100)))
    return {"series": str(path), "time": "day"}


SPLIT = {"validation": 20, "test": 10}


def test_windows_follow_each_other_and_no_split_sees_another(rising):
    data = load({"source": rising, "split": SPLIT,
                 "prepare": [{"windows": {"length": 4, "horizon": 2, "stride": 3, "targets": ["two"]}}]})
    for part, (first, last) in {"train": (0, 70), "validation": (70, 90), "test": (90, 100)}.items():
        x, y = data.splits[part].x["x"], data.splits[part].y["y"]
        starts = np.arange(first, last - 5, 3)
        assert x.shape == (len(starts), 4, 2)
        assert x[:, :, 0].tolist() == [[s, s + 1, s + 2, s + 3] for s in starts]
        assert y.tolist() == [[2 * (s + 4), 2 * (s + 5)] for s in starts]
    assert any("train: 22 windows of 70 rows" in note for note in data.notes)


def test_statistics_are_those_of_the_past(rising):
    data = load({"source": rising, "split": SPLIT, "prepare": ["standardise", {"windows": {"length": 1}}]})
    mean, deviation = np.arange(70).mean(), np.arange(70).std()
    assert data.test.x["x"][:, 0, 0] == pytest.approx((np.arange(90, 99) - mean) / deviation, rel=1e-6)
    assert data.test.y["y"].shape == (9, 1, 2), "all columns are targets"


def test_series_that_cannot_be_used(rising, tmp_path):
    with pytest.raises(DataError, match=r"test: 10 rows hold no window of 10 \+ 1"):
        load({"source": rising, "split": SPLIT, "prepare": [{"windows": {"length": 10}}]})
    with pytest.raises(DataError, match=r"no column 'tow'.*'two'"):
        load({"source": rising, "prepare": [{"windows": {"length": 2, "targets": ["tow"]}}]})
    with pytest.raises(DataError, match=r"no target yet.*windows"):
        load({"source": rising})
    with pytest.raises(DataError, match=r"'note'.* is no number"):
        load({"source": {**rising, "columns": ["note"]}})
    with pytest.raises(DataError, match=r"cannot be stratified"):
        load({"source": rising, "split": {"stratify": True}, "prepare": [{"windows": {"length": 2}}]})
    (tmp_path / "falling.csv").write_text("t,v\n1,1\n3,2\n2,3\n")
    with pytest.raises(DataError, match=r"does not rise in row 3 .*3 is followed by 2"):
        load({"source": {"series": str(tmp_path / "falling.csv"), "time": "t"}})


def test_limits_keep_the_order(rising):
    data = load({"source": rising, "split": SPLIT, "limit": {"train": 30}, "prepare": [{"windows": {"length": 1}}]})
    assert data.train.x["x"][:, 0, 0].tolist() == list(range(29))


@pytest.mark.parametrize(("name", "rows", "first"), [("sunspots", 309, 5.0), ("co2", 2284, 316.1)])
def test_statsmodels_series(name, rows, first):
    data = load({"source": name, "split": {"validation": 0.2, "test": 0.2}, "prepare": [{"windows": {"length": 12}}]})
    assert data.train.x["x"][0, 0, 0] == pytest.approx(first)
    assert sum(data.examples.values()) == rows - 3 * 12
    assert data.train.y["y"][:-1, 0].tolist() == data.train.x["x"][1:, -1, 0].tolist()


def test_autoencoders_have_their_input_for_target():
    data = load({"source": "digits", "prepare": ["min_max", "channels", {"reconstruct": {"noise": 0.5}}]})
    clean = load({"source": "digits", "prepare": ["min_max", "channels"]})
    assert (data.test.y["y"] == clean.test.x["x"]).all()
    assert data.classes is None
    noise = data.train.x["x"] - data.train.y["y"]
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=0.01), pytest.approx(0.5, abs=0.01))
    without = load({"source": "digits", "prepare": ["min_max", "reconstruct"]})
    assert (without.train.x["x"] == without.train.y["y"]).all()
