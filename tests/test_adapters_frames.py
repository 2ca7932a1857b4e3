"""Data frames of pandas, polars and pyarrow: in as numbers and rows, out as what came in."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

pytest.importorskip("narwhals")

import deephtm_gpu as dh  # noqa: E402
from deephtm_gpu.adapters.frames import to_array, to_frame, to_rows  # noqa: E402
from deephtm_gpu.learner import Learner  # noqa: E402

KINDS = ("pandas", "polars", "pyarrow")
START = datetime(2026, 1, 1)
NUMBERS = {"a": [0.5, 1.5, 0.25, 1.0], "b": [1, 2, 3, 4], "c": [True, False, True, True]}


def frame(kind, columns):
    package = pytest.importorskip(kind)
    return package.table(columns) if kind == "pyarrow" else package.DataFrame(columns)


def as_lists(table):
    """Of any kind: name -> list, what is missing as None."""
    if hasattr(table, "to_pydict"):
        return table.to_pydict()
    columns = table.to_dict(as_series=False) if hasattr(table, "lazy") else table.to_dict("list")
    return {name: [None if value != value else value for value in values] for name, values in columns.items()}


def small(features):
    net = dh.Sequential(dh.Linear(8), dh.SpatialPooler(8, winners=2), dh.TemporalMemory(2), dh.Linear(features))
    return dh.Model(net, (features,), device="numpy")


@pytest.mark.parametrize("kind", KINDS)
def test_columns_become_a_series(kind):
    given = frame(kind, NUMBERS | {"name": list("pqrs")})
    array = to_array(given, ["b", "c", "a"])
    assert array.dtype == np.float64
    assert np.array_equal(array, np.array([NUMBERS["b"], NUMBERS["c"], NUMBERS["a"]], float).T)
    assert np.array_equal(to_array(frame(kind, NUMBERS)), np.array(list(NUMBERS.values()), float).T)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_takes_a_frame_as_it_is_and_gives_one_back(kind):
    given = frame(kind, {"a": NUMBERS["a"], "b": NUMBERS["b"]})
    history, plain = small(2).fit(given), small(2).fit(to_array(given))
    assert np.array_equal(history.prediction, plain.prediction)
    back = to_frame(history, like=given)
    assert type(back) is type(given)
    found = as_lists(back)
    assert set(found) == {"loss", "anomaly", "prediction[0]", "prediction[1]"}
    assert found["prediction[1]"] == history.prediction[:, 1].tolist()


def test_of_pandas_the_index_goes_along():
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame({"a": NUMBERS["a"]}, index=pandas.date_range(START, periods=4, freq="D"))
    history = small(1).fit(given)
    assert to_frame(history, like=given).index.equals(given.index)
    assert to_frame(history, like=given[:2]).index.tolist() == [0, 1, 2, 3], "other rows: not their index"


TIMES = {
    "datetimes": [START + timedelta(hours=h) for h in range(4)],
    "texts": [f"2026-01-01 0{h}:00:00" for h in range(4)],
    "dates": [date(2026, 1, 1 + d) for d in range(4)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_rows_have_values_and_timestamps(kind, times):
    rows = to_rows(frame(kind, {"at": times, "load": NUMBERS["b"]}), "load", "at")
    step = timedelta(days=1) if isinstance(times[0], date) and not isinstance(times[0], datetime) else timedelta(
        hours=1)
    assert [(r.value, r.text, r.when) for r in rows] == [(n, str(n), START + (n - 1) * step) for n in (1, 2, 3, 4)]
    assert rows[1].stamp == str(START + step)


def test_a_time_zone_is_dropped():
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range(START, periods=4, freq="h", tz="America/New_York")
    rows = to_rows(pandas.DataFrame({"at": times, "load": NUMBERS["b"]}), "load", "at")
    assert [r.when for r in rows] == TIMES["datetimes"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_learner_says_becomes_a_frame(kind):
    given = frame(kind, {"at": TIMES["datetimes"], "load": NUMBERS["b"]})
    outputs = Learner(ahead=2, timed=True, device="numpy").learn(to_rows(given, "load", "at"))
    back = to_frame(outputs, like=given)
    found = as_lists(back)
    assert type(back) is type(given)
    assert found["timestamp"] == TIMES["datetimes"] and found["value"] == NUMBERS["b"]
    assert found["prediction"] == [None, None, *(o.prediction for o in outputs[2:])]
    assert found["anomaly_score"] == [o.anomaly for o in outputs]
    assert found["anomaly_likelihood"] == [o.likelihood for o in outputs]


def test_without_timestamps_there_is_no_such_column():
    given = frame("pandas", {"load": NUMBERS["b"]})
    outputs = Learner(ahead=1, timed=False, device="numpy").learn(to_rows(given, "load"))
    assert "timestamp" not in to_frame(outputs, like=given)


WRONG = {
    "no frame": (lambda kind: to_array([1, 2]), "frame must be a data frame in memory, .* got 'list'"),
    "no column": (lambda kind: to_array(frame(kind, NUMBERS), ["d"]), "no column 'd'; it has 'a', 'b', 'c'"),
    "no columns": (lambda kind: to_array(frame(kind, NUMBERS), []), "a column of numbers or more"),
    "text": (lambda kind: to_array(frame(kind, {"a": ["p", "q"]})), "Column 'a' must be of numbers, got String"),
    "a hole": (lambda kind: to_rows(frame(kind, {"a": [1.0, None]}), "a"), "no missing values, got one in row 1"),
    "no time": (lambda kind: to_rows(frame(kind, {"a": [1, 2], "t": ["2026-01-01", "soon"]}), "a", "t"),
                "Column 't' must be of timestamps, got 'soon' in row 1"),
    "numbers for times": (lambda kind: to_rows(frame(kind, NUMBERS), "a", "b"), "must be of timestamps, got 1"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mistake, said", WRONG.values(), ids=WRONG)
def test_mistakes_are_named(kind, mistake, said):
    with pytest.raises(dh.UserError, match=said):
        mistake(kind)


def test_a_lazy_frame_is_to_be_collected():
    lazy = frame("polars", NUMBERS).lazy()
    with pytest.raises(dh.UserError, match="collect"):
        to_array(lazy)
