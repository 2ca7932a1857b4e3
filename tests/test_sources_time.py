"""Timestamps. A day is never taken for a month: other rows prove which is which, or the user says so."""

from datetime import datetime, timedelta

import pytest

from deephtm_gpu.data.timestamps import NAMES, TimestampReader
from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import Reading, open_source

WHEN = datetime(2010, 7, 22, 13, 5)


def read(tmp_path, stamps, **reading):
    path = tmp_path / "a.csv"
    path.write_text("t;v\n" + "".join(f"{s};1\n" for s in stamps))
    with open_source(path, "v", "t", Reading(**reading)) as stream:
        return [row for rows in stream.chunks() for row in rows]


@pytest.mark.parametrize("stamp", [
    "2010-07-22 13:05:00", "2010-07-22T13:05:00.000Z", "2010-07-22 13:05:00+02:00", "2010-07-22 13:05 -0700",
    "2010-07-22 13:05:00 UTC", "2010-07-22T13:05", "20100722T1305", "2010-W29-4T13:05",
    "7/22/10 13:05", "07/22/2010 13:05:00", "22/07/2010 1:05 PM", "22/7/10 01:05:00pm", "7-22-2010 1:05 p.m.",
    "2010/07/22 13:05", "2010/7/22 13:05", "22.07.2010 13:05", "22.7.10, 13:05", "22 Jul 2010 13:05", "22-Jul-10 13:05",
    "Jul 22, 2010 1:05 PM", "July 22 2010 13:05", "Thu, 22 Jul 2010 13:05:00 GMT", "20100722130500",
    "1279803900", "1279803900.0", "1279803900000", "1279803900000000", "1279803900000000000",
])
def test_formats(tmp_path, stamp):
    (row,) = read(tmp_path, [stamp])
    assert row.when == WHEN and row.stamp == stamp


@pytest.mark.parametrize("stamp, expected", [
    ("2010-07-22 24:00", datetime(2010, 7, 23)),
    ("22.07.2010 24:00:00", datetime(2010, 7, 23)),
    ("2016-12-31 23:59:60", datetime(2017, 1, 1)),
    ("2010-07-22 12:00 AM", datetime(2010, 7, 22)),
    ("2010-07-22 12:00 PM", datetime(2010, 7, 22, 12)),
    ("2010-07-22 00:00:00.123456789", datetime(2010, 7, 22, microsecond=123456)),
    ("2010-07-22 00:00:00,5", datetime(2010, 7, 22, microsecond=500000)),
    ("2010-07-22", datetime(2010, 7, 22)),
    ("20100722", datetime(2010, 7, 22)),
    ("5/5/2010", datetime(2010, 5, 5)),  # both ways the same day
    ("0", datetime(1970, 1, 1)),
    ("90.5", datetime(1970, 1, 1, 0, 1, 30, 500000)),
])
def test_special_times(stamp, expected):
    assert TimestampReader()(stamp) == expected


@pytest.mark.parametrize("stamps, month", [
    (["1/2/2010", "12/2/2010", "13/2/2010"], 2),
    (["1/2/2010", "1/12/2010", "1/13/2010"], 1),
    (["01-02-2010 1:00 AM", "13-02-2010 1:00 AM"], 2),
    (["01.02.2010", "02.02.2010"], 2),  # dots: day first everywhere
])
def test_later_rows_say_whether_the_day_comes_first(tmp_path, stamps, month):
    assert read(tmp_path, stamps)[0].when.month == month


def test_a_proof_far_behind_is_found(tmp_path):
    start = datetime(2010, 2, 1)
    stamps = [(start + timedelta(minutes=t)).strftime("%d/%m/%Y %H:%M") for t in range(18_000)]
    rows = read(tmp_path, stamps)
    assert [r.when for r in rows] == [start + timedelta(minutes=t) for t in range(18_000)]


@pytest.mark.parametrize("stamps, said", [
    (["1/2/2010", "2/2/2010"], "line 2 .*2010-02-01.*day-first.*2010-01-02.*month-first.*--time-format"),
    (["01-02-10", "13-02-10"], "line 2 .*day-first.*short-year-first.*--time-format"),
    (["40000.5", "40001.5"], "line 2 .*seconds.*excel.*--time-format"),
    (["201002010030"], "line 2 .*compact.*epoch-ms.*--time-format"),
    (["yesterday"], "line 2 must have a timestamp in column 't', got 'yesterday'; .*ISO"),
    (["13/1/10 0:00", "1/13/10 0:00"], "line 3 .*the rows before"),
    (["2010-07-02 01:00", "7/2/10 2:00"], "line 3 .*the rows before"),
    (["2010-02-30 00:00"], "line 2"),
    (["2010-02-01 25:00"], "line 2"),
    (["2010-02-01 24:01"], "line 2"),
    (["2010-02-01 13:00 PM"], "line 2"),
    (["9999-12-31 24:00"], "line 2"),
    (["12:30"], "line 2"),
    (["99999999999999999999"], "line 2"),
    (["2010-01-02", "2010-01-01"], "line 3 must not be earlier .*sort the rows"),
    (["2010-01-01 03:00", "2010-01-01 02:00", "2010-01-01 01:00"], "line 4 must not be earlier"),
])
def test_refused(tmp_path, stamps, said):
    with pytest.raises(UserError, match=said):
        read(tmp_path, stamps)


def test_the_hour_that_comes_twice_in_autumn(tmp_path):
    stamps = ["2010-10-31 02:00", "2010-10-31 02:30", "2010-10-31 02:00", "2010-10-31 02:30", "2010-10-31 03:00"]
    assert len(read(tmp_path, stamps)) == 5


@pytest.mark.parametrize("time_format, stamp, expected", [
    ("day-first", "1/2/2010", datetime(2010, 2, 1)),
    ("month-first", "1/2/2010", datetime(2010, 1, 2)),
    ("%d/%m/%Y", "1/2/2010", datetime(2010, 2, 1)),
    ("%Y.%j", "2010.32", datetime(2010, 2, 1)),
    ("excel", "40210.5", datetime(2010, 2, 1, 12)),
    ("seconds", "40210.5", datetime(1970, 1, 1, 11, 10, 10, 500000)),
    ("compact", "201002010030", datetime(2010, 2, 1, 0, 30)),
    ("epoch", "1264982400", datetime(2010, 2, 1)),
])
def test_a_format_that_is_given(tmp_path, time_format, stamp, expected):
    assert read(tmp_path, [stamp], time_format=time_format)[0].when == expected


def test_a_time_that_is_not_of_the_given_format(tmp_path):
    with pytest.raises(UserError, match="line 2 .*format of --time-format, %d/%m/%Y"):
        read(tmp_path, ["2010-01-01"], time_format="%d/%m/%Y")


def test_every_name_is_a_format():
    for name in NAMES:
        with pytest.raises(ValueError, match=f"--time-format, {name}"):
            TimestampReader(name)("no time")
