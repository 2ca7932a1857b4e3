"""Sources other than plain CSV: gzip, JSON lines, Parquet and Arrow. Each gives the rows that CSV gives."""

import builtins
import gzip
import json
import os
import threading
from datetime import datetime, timedelta, timezone

import pytest

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import Reading, RowError, open_source
from deephtm_gpu.sources.arrow_file import ArrowFile
from deephtm_gpu.sources.json_lines import JsonLines

WHEN = [datetime(2024, 1, 1, 0, m) for m in range(4)]
VALUES = [1.5, 2, None, -3]


def read(path, column="v", timestamp=None, **reading):
    with open_source(str(path), column, timestamp, Reading(**reading)) as stream:
        return [row for rows in stream.chunks() for row in rows]


def rows_until_the_error(path, column="v"):
    """-> the values that were read, and the RowError that ended it."""
    values = []
    with open_source(str(path), column) as stream, pytest.raises(RowError) as error:
        for rows in stream.chunks():
            values += [row.value for row in rows]
    return values, str(error.value)


# gzip


def test_gzip_whatever_its_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"v\n1\n") + gzip.compress(b"2\n") + b"\0\0")  # two members, and padding
    assert [r.value for r in read(path)] == [1, 2]


def test_a_gzip_file_that_breaks_off_gives_the_rows_before(tmp_path):
    packed = gzip.compress(b"v\n" + b"".join(b"%d\n" % (n * n) for n in range(20_000)))
    (tmp_path / "a.gz").write_bytes(packed[:len(packed) // 2])
    values, error = rows_until_the_error(tmp_path / "a.gz")
    assert "breaks off" in error and len(values) > 1000
    assert values == [n * n for n in range(len(values))]


def test_a_gzip_file_that_is_damaged(tmp_path):
    packed = bytearray(gzip.compress(b"v\n" + b"".join(b"%d\n" % (n * n) for n in range(60_000))))
    packed[-6] ^= 255  # the checksum
    (tmp_path / "a.gz").write_bytes(packed)
    assert "cannot be unpacked" in rows_until_the_error(tmp_path / "a.gz")[1]


# JSON lines


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    cells = [{"t": str(w), "v": v, "other": [1, {"a": 2}]} for w, v in zip(WHEN, VALUES)]
    path.write_text("\ufeff" + "\n\n".join(map(json.dumps, cells)) + '\n{"t": 7}\n{"v": NaN}\n', encoding="utf-8")
    rows = read(path)
    assert [r.value for r in rows] == [*VALUES, None, None] and rows[0].where == "line 1" and rows[1].where == "line 3"
    path.write_text(json.dumps(cells[0]) + "\n" + json.dumps(cells[1]))
    assert [r.when for r in read(path, "v", "t")] == WHEN[:2]


def test_times_and_numbers_in_json(tmp_path):
    path = tmp_path / "data"  # known by how it begins
    path.write_text('{"t": 1404172800, "v": "1,5"}\n{"t": 1404172860, "v": 12}\n{"v": 3}\n')
    rows = read(path, "v", "t")
    assert [(r.value, r.text) for r in rows] == [(1.5, "1.5"), (12, "12"), (None, "")]
    assert [r.when for r in rows] == [datetime(2014, 7, 1), datetime(2014, 7, 1, 0, 1), None]


@pytest.mark.parametrize("line, said", [
    ('{"v": 1', "line 2 cannot be read as JSON"),
    ("[1]", "line 2 must be a JSON object.*got a list"),
    ('{"v": true}', "line 2 must have a number in column 'v', got True"),
    ('{"v": [1]}', "line 2 must have a number in column 'v', got \\[1\\]"),
    ('{"v": 1e999}', "line 2 must have a finite number"),
    ('{"v": 1' + "0" * 400 + "}", "line 2 must have a finite number"),
    ('{"v": ' + "[" * 5000 + "}", "line 2 must be .*nested deeply"),
    ('{"v": ' + "9" * 5000 + "}", "line 2 cannot be read as JSON"),
    ('{"v": "text"}', "line 2 must have a number in column 'v', got 'text'"),
])
def test_bad_json(tmp_path, line, said):
    (tmp_path / "a.jsonl").write_text('{"v": 1}\n' + line + "\n")
    with pytest.raises(RowError, match=said) as error:
        read(tmp_path / "a.jsonl")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rows", [3, 2500])
def test_a_key_that_no_object_has(tmp_path, rows):
    (tmp_path / "a.jsonl").write_text('{"w": 1, "x": 2}\n' * rows)
    with pytest.raises(UserError, match="no column 'v'.*it has 'w', 'x'"):
        read(tmp_path / "a.jsonl")


def test_an_array_is_no_json_lines(tmp_path):
    (tmp_path / "a.json").write_text('[{"v": 1}]\n')
    with pytest.raises(UserError, match="line 1 must be a JSON object.*got a list"):
        read(tmp_path / "a.json")


# Parquet and Arrow


@pytest.fixture(params=["parquet", "arrow", "stream"])
def arrow_file(request, tmp_path):
    """arrow_file(table) -> a file of it."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(table):
        path = tmp_path / "data"
        if request.param == "parquet":
            parquet.write_table(table, path)
        else:
            new = arrow.ipc.new_file if request.param == "arrow" else arrow.ipc.new_stream
            with new(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=700)
        return path

    return write


def test_arrow(arrow_file):
    arrow = pytest.importorskip("pyarrow")
    path = arrow_file(arrow.table({"t": WHEN, "v": VALUES, "other": ["a"] * 4}))
    rows = read(path, "v", "t")
    assert [(r.value, r.when) for r in rows] == list(zip(VALUES, WHEN))
    assert [r.text for r in rows] == ["1.5", "2.0", "", "-3.0"] and rows[2].where == "row 3"


def test_arrow_is_read_in_chunks(arrow_file):
    arrow = pytest.importorskip("pyarrow")
    path = arrow_file(arrow.table({"v": list(range(3000))}))
    with open_source(str(path), "v") as stream:
        chunks = list(stream.chunks())
    assert max(map(len, chunks)) <= 512 and [r.value for rows in chunks for r in rows] == list(range(3000))


def test_types_of_arrow(arrow_file):
    arrow = pytest.importorskip("pyarrow")
    zone, nanos = timezone(timedelta(hours=2)), arrow.array([10**9 + 1], arrow.timestamp("ns"))
    columns = {"zoned": arrow.array([datetime(2024, 1, 1, 12, tzinfo=zone)], arrow.timestamp("us", "+02:00")),
               "nanos": nanos, "day": arrow.array([datetime(2024, 1, 1).date()]),
               "text": arrow.array(["2024-01-01"]).dictionary_encode(), "epoch": arrow.array([1404172800]),
               "decimal": arrow.array(["1.50"]).cast(arrow.decimal128(5, 2)),
               "one": arrow.array([1.0], arrow.float32())}
    path = arrow_file(arrow.table(columns))
    expected = {"zoned": datetime(2024, 1, 1, 12), "nanos": datetime(1970, 1, 1, 0, 0, 1), "day": datetime(2024, 1, 1),
                "text": datetime(2024, 1, 1), "epoch": datetime(2014, 7, 1)}
    for name, when in expected.items():
        assert read(path, "one", name)[0].when == when
    assert read(path, "decimal")[0].value == 1.5


def test_mistakes_in_arrow(arrow_file):
    arrow = pytest.importorskip("pyarrow")
    path = arrow_file(arrow.table({"v": [1, 2], "flag": [True, False]}))
    with pytest.raises(UserError, match="no column 'w'; it has 'v', 'flag'"):
        read(path, "w")
    with pytest.raises(RowError, match="row 1 must have a number in column 'flag', got True"):
        read(path, "flag")
    whole = path.read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:length])
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error)
    path.write_bytes(whole[:len(whole) // 3])
    with pytest.raises(UserError, match="cannot be read as Parquet or Arrow"):
        read(path)


@pytest.mark.skipif(os.name == "nt", reason="no named pipes in the file system")
def test_parquet_of_a_pipe_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"PAR1....PAR1",))
    thread.start()
    with pytest.raises(UserError, match="must be a file .*got a pipe"):
        read(tmp_path / "pipe")
    thread.join()


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    (tmp_path / "a.parquet").write_bytes(b"PAR1....PAR1")
    with pytest.raises(UserError, match=r"pip install 'deephtm_gpu\[arrow\]'"):
        read(tmp_path / "a.parquet")


def test_the_kind_is_found_by_how_a_file_begins(tmp_path):
    (tmp_path / "a").write_bytes(b"PAR1")
    (tmp_path / "b").write_text(' {"v": 1}')
    (tmp_path / "c").write_text("v\n1\n")
    from deephtm_gpu.sources.byte_stream import ByteStream

    kinds = [[kind.reads(ByteStream(tmp_path / n)) for kind in (ArrowFile, JsonLines)] for n in "abc"]
    assert kinds == [[True, False], [False, True], [False, False]]
