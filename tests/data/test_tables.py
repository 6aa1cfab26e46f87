"""CSV and Parquet: columns by name, text labels, gaps, and tables that cannot be read."""

import numpy as np
import pandas
import pytest

from harness.data import load
from harness.errors import DataError

WHOLE = {"validation": 0, "test": 0}
FRAME = pandas.DataFrame(
    {
        "age": [30, 41, 52, 63, 74, 85],
        "pulse": [60.5, 71.25, 80, 90, 65, 75],
        "city": ["Ulm", "Bonn", "Ulm", "Kiel", "Bonn", "Kiel"],
        "weight": [1, 2, 1, 2, 1, 2],
        "ill": ["yes", "no", "yes", "no", "no", "yes"],
    }
)


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    """Writes a frame; returns the source that reads it."""

    def write(frame, **options):
        path = tmp_path / f"table.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        return {request.param: str(path), **options}

    return write


def test_columns_text_labels_categories_and_weights(table):
    source = table(FRAME, target="ill", categorical=["city"])
    data = load({"source": source, "sample_weight": "weight", "split": WHOLE})
    cities = [[c == name for name in ("Bonn", "Kiel", "Ulm")] for c in FRAME["city"]]
    assert (data.train.x["x"] == np.column_stack([FRAME["age"], FRAME["pulse"], cities])).all()
    assert data.train.y["y"].tolist() == [1, 0, 1, 0, 0, 1]
    assert data.train.sample_weight.tolist() == FRAME["weight"].tolist()
    assert data.classes == 2
    assert data.notes == ("Labels of y: 0 = no, 1 = yes.",)


def test_named_features_in_the_order_given(table):
    data = load({"source": table(FRAME, target="ill", features=["pulse", "age"]), "split": WHOLE})
    assert (data.train.x["x"] == FRAME[["pulse", "age"]].to_numpy()).all()


def test_quantities(table):
    one = load({"source": table(FRAME, target="pulse", features="age"), "split": WHOLE})
    assert one.classes is None
    assert one.train.y["y"].shape == (6,)
    two = load({"source": table(FRAME, target=["pulse", "weight"], features="age"), "split": WHOLE})
    assert (two.train.y["y"] == FRAME[["pulse", "weight"]].to_numpy(np.float32)).all()
    whole = load({"source": table(FRAME, target="age", features="pulse"), "split": WHOLE, "classes": "none"})
    assert whole.train.y["y"].tolist() == FRAME["age"].tolist()
    with pytest.raises(DataError, match="classes: none"):
        load({"source": table(FRAME, target="age", features="pulse"), "split": WHOLE})


def test_gaps_in_whole_number_labels_leave_them_labels(table):
    frame = pandas.DataFrame({"a": range(6), "label": pandas.array([0, 1, None, 1, 0, 1], dtype="Int64")})
    source = table(frame, target="label")
    with pytest.raises(DataError, match="1 values are missing"):
        load({"source": source, "split": WHOLE})
    data = load({"source": source, "split": WHOLE, "prepare": ["clean"]})
    assert data.classes == 2
    assert data.train.y["y"].tolist() == [0, 1, 1, 0, 1]
    assert data.train.x["x"].ravel().tolist() == [0, 1, 3, 4, 5]


def test_gaps_in_features_and_text(table):
    frame = FRAME.assign(pulse=[60, None, 80, 90, 65, 75], city=["Ulm", "Bonn", None, "Kiel", "Bonn", "Kiel"])
    frame["ill"] = ["yes", "no", "yes", "no", "no", None]
    source = table(frame, target="ill", categorical="city")
    # Labels come first, then what is left: the message names the column and the example.
    data = {"source": source, "split": WHOLE}
    with pytest.raises(DataError, match="missing"):
        load(data)
    assert load({**data, "prepare": ["clean"]}).train.x["x"][:, 0].tolist() == [30, 63, 74]
    with pytest.raises(DataError, match=r"x/x holds nan \(example 1, column 'pulse'\)"):
        load({"source": table(frame.iloc[:5], target="ill", features=["age", "pulse"]), "split": WHOLE})


def test_further_files(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.iloc[:2].to_csv(tmp_path / "b.csv", index=False)
    data = load(
        {"csv": "a.csv", "target": "ill", "categorical": "city", "test": "b.csv", "split": {"validation": 0}},
        base=tmp_path,
    )
    assert data.examples == {"train": 6, "test": 2}
    assert data.test.x["x"].shape == (2, 6)
    FRAME.drop(columns="pulse").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="no column 'pulse'"):
        load({"csv": "a.csv", "target": "ill", "categorical": "city", "test": "b.csv"}, base=tmp_path)


def test_separator(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv", index=False, sep=";")
    data = load(
        {"csv": "a.csv", "separator": ";", "target": "ill", "features": "age", "split": WHOLE}, base=tmp_path
    )
    assert data.train.x["x"].ravel().tolist() == FRAME["age"].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "il"}, "no column 'il'.*Did you mean 'ill'"),
        ({"target": "ill", "features": ["agee"]}, "no column 'agee'.*Did you mean 'age'"),
        ({"target": "ill", "categorical": "town"}, "no column 'town'"),
        ({"target": "ill"}, "'city' holds 'Ulm' in row 1.*categorical"),
        ({"target": "ill", "features": ["age", "ill"]}, "target 'ill' is also a feature"),
        ({"target": ["city", "age"], "features": ["pulse"]}, "'city' holds 'Ulm'"),
    ],
)
def test_columns_that_cannot_be(table, options, message):
    with pytest.raises(DataError, match=message):
        load({"source": table(FRAME, **options), "split": WHOLE})


def test_text_is_no_quantity(table):
    with pytest.raises(DataError, match="is no quantity"):
        load({"source": table(FRAME, target="ill", features="age"), "classes": "none"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot read"),
        ("a,y\n", "has no rows"),
        ("a,y\n1,2,3\n4,5,6\n", "cannot read"),
        ("a,y\n1,2\n3,4,5\n", "cannot read"),
        ('a,y\n"1,2\n', "cannot read"),
        (b"a,y\n\xff\xfe,1\n", "cannot read"),
    ],
)
def test_broken_csv_files(tmp_path, content, message):
    path = tmp_path / "broken.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        load({"csv": str(path), "target": "y"})


def test_a_parquet_file_that_is_none(tmp_path):
    (tmp_path / "a.parquet").write_text("a,y\n1,2\n")
    with pytest.raises(DataError, match="cannot read"):
        load({"parquet": "a.parquet", "target": "y"}, base=tmp_path)


def test_dates_are_no_numbers(tmp_path):
    frame = FRAME.assign(day=pandas.date_range("2024-01-01", periods=6))
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="'day' holds '2024"):
        load({"parquet": "a.parquet", "target": "ill", "features": ["age", "day"]}, base=tmp_path)
