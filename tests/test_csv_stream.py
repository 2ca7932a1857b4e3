"""The road of a row: CSV file or pipe -> number and time -> standardised, beside what trivial forecasters say."""

import os
import sys
import threading
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.data.baselines import Comparison, Persistence, SameSlotLastWeek
from deephtm_gpu.data.scaler import HORIZON, LIMIT, OnlineScaler
from deephtm_gpu.data.time_features import time_features
from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import CHUNK
from deephtm_gpu.sources.csv_file import CsvStream

TAXI = Path(__file__).parents[1] / "demos" / "data" / "nyc_taxi.csv"


def _read(path, column="v", timestamp=None):
    with CsvStream(path, column, timestamp) as stream:
        return [row for rows in stream.chunks() for row in rows]


def _write(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# What is read


@pytest.mark.parametrize("content", [
    "v,w\n1,x\n2.5,y\n-3e2,z\n",
    "v,w\r\n1,x\r\n2.5,y\r\n-3e2,z",  # Windows, and no end of line at the end
    "\ufeffv,w\n1,x\n\n2.5,y\n\n-3e2,z\n\n",  # a byte order mark, blank lines
    'w, v\n"a, b", 1\n"two\nlines", 2.5\n"", -3e2\n',
])
def test_values(tmp_path, content):
    rows = _read(_write(tmp_path, content))
    assert [r.value for r in rows] == [1, 2.5, -300]
    assert [r.text for r in rows] == ["1", "2.5", "-3e2"]
    assert {r.when for r in rows} == {None}


@pytest.mark.parametrize(
    "stamp",
    [
        "2010-07-02 13:05:00",
        "2010-07-02T13:05:00.000Z",
        "2010-07-02 13:05:00+02:00",
        "7/2/10 13:05",
        "07/02/2010 13:05:00",
        "2010/07/02 13:05",
        "02.07.2010 13:05",
    ],
)
def test_timestamps(tmp_path, stamp):
    (row,) = _read(_write(tmp_path, f"t,v\n{stamp},1\n"), timestamp="t")
    assert row.when == datetime(2010, 7, 2, 13, 5) and row.stamp == stamp


def test_nupic_header_lines_are_skipped(tmp_path):
    rows = _read(_write(tmp_path, "t,v\ndatetime,float\nT,\n7/2/10 0:00,21.2\n7/2/10 1:00,16.4\n"), timestamp="t")
    assert [(r.when.hour, r.value) for r in rows] == [(0, 21.2), (1, 16.4)]


def test_types_further_down_are_no_header(tmp_path):
    with pytest.raises(UserError, match="line 3 .*'float'"):
        _read(_write(tmp_path, "t,v\n7/2/10 0:00,21.2\ndatetime,float\n"))


def test_chunks_are_bounded_and_complete(tmp_path):
    path = _write(tmp_path, "v\n" + "".join(f"{i}\n" for i in range(50_000)))
    with CsvStream(path, "v") as stream:
        chunks = list(stream.chunks())
        assert stream.done == stream.size == path.stat().st_size
    assert max(map(len, chunks)) == CHUNK
    assert [r.value for rows in chunks for r in rows] == list(range(50_000))


def test_memory_is_constant(tmp_path):
    path = _write(tmp_path, "v\n" + "123456.75\n" * 40_000)
    tracemalloc.start()
    try:
        with CsvStream(path, "v") as stream:
            assert sum(len(rows) for rows in stream.chunks()) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000  # all rows take some 8 million
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in the file system")
def test_a_live_pipe_is_served_at_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    go_on = [threading.Event() for _ in range(2)]

    def write():
        with open(path, "wb", buffering=0) as pipe:
            pipe.write(b"v\n1\n2\n3")
            go_on[0].wait(10)
            pipe.write(b"0\n4\n")
            go_on[1].wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    with CsvStream(path, "v") as stream:
        chunks = stream.chunks()
        assert [r.value for r in next(chunks)] == [1, 2]  # without waiting for the end of the third
        assert not go_on[0].is_set()
        go_on[0].set()
        assert [r.value for r in next(chunks)] == [30, 4]
        go_on[1].set()
        assert next(chunks, None) is None
        assert stream.size is None
    writer.join()


# What is refused


@pytest.mark.parametrize("content, said", [
    ("", "must have a line of column names.*got an empty file"),
    ("v\n", "must have rows of numbers, got a header and no rows"),
    ("t,v\ndatetime,float\nT,\n", "header and no rows"),
    ("a,b\n1,2\n", "no column 'v'.* 'a', 'b'"),
    ("v,v\n1,2\n", "2 columns named 'v'"),
    ("v\n1\ntext\n", "line 3 must have a number in column 'v', got 'text'"),
    ("v\n1\n1_000\n", "line 3 must have a number .*got '1_000'"),
    ("v,w\n1,2\n,2\n", "line 3 must have a number in column 'v', got nothing"),
    ("v\n1\n\nNaN\n", "line 4 must have a finite number .*got NaN"),
    ("v\n-inf\n", "line 2 must have a finite number .*got -inf"),
    ("v\n1e400\n", "line 2 must have a finite number .*got 1e400"),
    ("v\n1e200\n", "line 2 must have a number up to 1e\\+100 .*got 1e200"),
    ("v,w\n1,2\n3\n", "line 3 must have 2 cells as the header, got 1"),
    ("v,w\n1,2\n3,4,5\n", "line 3 must have 2 cells .*got 3"),
    (b"v\n1\n\xff\xfe\n", "line 3 must be UTF-8 text, got byte 0xff"),
    ('v\n1\n"2\n3\n', "line 4 cannot be read as CSV.*quote"),
    (b"v\n" + b"1" * 2_000_000, "line 2 must be at most 1,048,576 bytes"),
])
def test_bad_files(tmp_path, content, said):
    with pytest.raises(UserError, match=said):
        _read(_write(tmp_path, content))


@pytest.mark.parametrize("stamps, said", [
    (["yesterday"], "line 2 must have a timestamp in column 't', got 'yesterday'; .*ISO"),
    (["13/1/10 0:00"], "line 2 .*month first"),
    (["7/2/10 0:00", "2010-07-02 01:00"], "line 3 .*the format of the first row"),
    (["2010-02-30 00:00"], "line 2"),
    ([""], "line 2 must have a timestamp .*got ''"),
])
def test_bad_timestamps(tmp_path, stamps, said):
    with pytest.raises(UserError, match=said):
        _read(_write(tmp_path, "t,v\n" + "".join(f"{s},1\n" for s in stamps)), timestamp="t")


def test_bad_paths(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        CsvStream(tmp_path / "none.csv", "v")
    with pytest.raises(UserError, match="got a folder"):
        CsvStream(tmp_path, "v")
    with pytest.raises(UserError, match="no column 'T'.*'v'"):
        CsvStream(_write(tmp_path, "v\n1\n"), "v", "T")


# Time


def test_time_features():
    # Monday, Sunday, Wednesday.
    x = time_features([datetime(2024, 1, 1), datetime(2024, 1, 7, 6), datetime(2024, 1, 3, 15)])
    assert x.shape == (3, 11) and x.dtype == np.float32
    np.testing.assert_allclose(x[:2, :4], [[0, 1, 0, 1], [1, 0, 0, -1]], atol=1e-6)
    np.testing.assert_allclose(x[2, :4], [-np.sqrt(0.5), -np.sqrt(0.5), 1, 0], atol=1e-6)
    assert x[:, 4:].argmax(axis=1).tolist() == [0, 6, 2] and x[:, 4:].sum() == 3


# Scale


def _standardise(values):
    return OnlineScaler().standardise(np.array(values, np.float64))


def test_scaler_is_the_mean_and_deviation_so_far():
    values = np.random.default_rng(0).normal(5, 3, 500)
    z, mean, deviation = _standardise(values)
    for t in (1, 17, 499):
        np.testing.assert_allclose([mean[t], deviation[t]], [values[: t + 1].mean(), values[: t + 1].std()], rtol=1e-12)
    np.testing.assert_allclose(mean + deviation * z, values, atol=1e-5)
    assert z[0] == 0 and abs(z[1]) == 1


def test_scaler_takes_nothing_from_the_future():
    values = np.random.default_rng(1).normal(size=300)
    changed = values.copy()
    changed[200:] = 1e9
    scaler = OnlineScaler()
    parts = [scaler.standardise(values[:7]), scaler.standardise(values[7:200])]
    for i, whole in enumerate(_standardise(changed)):
        np.testing.assert_array_equal(np.concatenate([p[i] for p in parts]), whole[:200])


@pytest.mark.parametrize("unit", [1e-30, 1e30, 1e-100, 1e100])
def test_scaler_does_not_mind_the_unit(unit):
    values = np.sin(np.arange(300) / 5)
    np.testing.assert_allclose(_standardise(values * unit)[0], _standardise(values)[0], rtol=1e-4, atol=1e-6)


def test_scaler_of_a_constant():
    z, mean, _ = _standardise([0.1] * 1000)
    assert not z.any() and (mean == 0.1).all()


def test_scaler_survives_a_spike_and_follows_a_step():
    wave = np.sin(np.arange(4000) / 5)
    spike = wave.copy()
    spike[2000] = 1e12
    assert _standardise(spike)[0].max() == LIMIT
    assert _standardise(spike)[2][-1] < 2 * wave.std()
    step = wave.copy()
    step[2000:] += 1000
    z, _, deviation = _standardise(step)
    assert z.max() == LIMIT and abs(z[2500:]).max() < LIMIT  # in bounds again within 500 rows
    assert deviation[-1] > 100


def test_scaler_forgets():
    _, mean, _ = _standardise(np.concatenate([np.tile([0.0, 1.0], HORIZON), np.tile([10.0, 11.0], 5 * HORIZON)]))
    assert abs(mean[-1] - 10.5) < 0.02


# Trivial forecasts


def test_persistence():
    persistence = Persistence(ahead=2)
    assert [persistence.update(v, None) for v in (1, 2, 3, 4)] == [None, None, 1, 2]


def _weeks(period, rows):
    return [datetime(2024, 1, 1) + i * timedelta(seconds=period) for i in range(rows)]


def test_same_slot_last_week_goes_by_the_clock():
    slots = 7 * 24
    times = _weeks(3600, 2 * slots)
    missing = slots + 5
    forecasts = {}
    last_week = SameSlotLastWeek(ahead=3)
    for i, when in enumerate(times):
        if i != missing:
            forecasts[i] = last_week.update(float(i), when)
    assert all(forecasts[i] is None for i in range(slots))
    assert all(forecasts[i] == i - slots for i in range(slots, 2 * slots) if i != missing)


@pytest.mark.parametrize("period, ahead", [(3601, 1), (0, 1), (-3600, 1), (86400, 8), (14 * 86400, 1)])
def test_same_slot_last_week_without_slots(period, ahead):
    last_week = SameSlotLastWeek(ahead)
    assert {last_week.update(1.0, when) for when in _weeks(period, 400)} == {None}


def test_comparison_on_the_taxi_series():
    comparison = Comparison(ahead=5, timed=True, later=5000)
    for row in _read(TAXI, "value", "timestamp"):
        comparison.update(row.value, row.when, row.value, 2 * row.value)
    late = {name: mape.percent for name, mape in comparison.late.items()}
    want = {"mixture": 0, "network": 100, "persistence": 32.5, "same slot last week": 12.4}
    assert late == pytest.approx(want, abs=0.1)
    assert comparison.whole["same slot last week"].rows == 10_320 - 336
    assert "100 % (5,320 rows)" in comparison.table()


def test_comparison_of_zeros_and_of_few_rows():
    comparison = Comparison(ahead=1, timed=False, later=5000)
    assert "no forecast" in comparison.table()
    for _ in range(3):
        comparison.update(0.0, None, 0.0, 0.0)
    assert "all values are 0 (2 rows)" in comparison.table() and "last week" not in comparison.table()
