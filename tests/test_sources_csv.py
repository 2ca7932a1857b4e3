"""From a CSV file or a pipe to rows: what is read, and what is refused in one sentence."""

import os
import sys
import threading
import tracemalloc

import pytest

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import CHUNK, Reading, RowError, open_source
from deephtm_gpu.sources.csv_file import CsvStream


def read(path, column="v", timestamp=None, **reading):
    with CsvStream(path, column, timestamp, Reading(**reading)) as stream:
        return [row for rows in stream.chunks() for row in rows]


def write(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# What is read


@pytest.mark.parametrize("content", [
    "v,w\n1,x\n2.5,y\n-3e2,z\n",
    "v,w\r\n1,x\r\n2.5,y\r\n-3e2,z",  # Windows, and no end of line at the end
    "v,w\r1,x\r2.5,y\r-3e2,z\r",  # an old Macintosh
    "\ufeffv,w\n1,x\n\n2.5,y\n\n-3e2,z\n\n",  # a byte order mark, blank lines
    'w, v\n"a, b", 1\n"two\nlines", 2.5\n"", -3e2\n',
    "v;w\n1;x\n2.5;y\n-3e2;z\n",
    "v\tw\n1\tx\n2.5\ty\n-3e2\tz\n",
    "v|w\n1|x\n2.5|y\n-3e2|z\n",
    "sep=;\nv;w\n1;x\n2.5;y\n-3e2;z\n",  # Excel's own line
    "v,w,\n1,x,\n2.5,y,\n-3e2,z\n",  # commas at the end
    "v,w\n1,x,\n2.5,y,,\n-3e2,z\n",
    "v,w\n1,x\nv,w\n2.5,y\n\ufeffv,w\n-3e2,z\n",  # files joined into one
    "\n\nv,w\n1,x\n2.5,y\n-3e2,z\n",
    "v,w\n1,x\n2.5,y\n-3e2,z\n".encode("utf-16"),
    "\ufeffv,w\r\n1,x\r\n2.5,y\r\n-3e2,\u00e4".encode("utf-16-be"),
])
def test_values(tmp_path, content):
    rows = read(write(tmp_path, content))
    assert [r.value for r in rows] == [1, 2.5, -300]
    assert [r.text for r in rows] == ["1", "2.5", "-3e2"]
    assert {r.when for r in rows} == {None}


@pytest.mark.parametrize("header, content, expected", [
    ("load, kW", "time;load, kW\n0;1,5\n1;2\n", [1.5, 2]),  # the header's own comma separates nothing
    ("v", "t,v;x\n1,5;2\n", None),  # by no sign a column v
])
def test_the_delimiter_is_the_one_by_which_the_column_exists(tmp_path, header, content, expected):
    path = write(tmp_path, content)
    if expected:
        assert [r.value for r in read(path, header)] == expected
    else:
        with pytest.raises(UserError, match="no column 'v'"):
            read(path, header)


def test_without_a_header(tmp_path):
    path = write(tmp_path, "2024-01-01 00:00;1,5;a\n2024-01-01 00:01;2;b\n")
    rows = read(path, "2", "1", header=False)
    assert [(r.value, r.when.minute, r.where) for r in rows] == [(1.5, 0, "line 1"), (2, 1, "line 2")]
    with pytest.raises(UserError, match="no column 'load'.*named by their numbers"):
        read(path, "load", header=False)
    with pytest.raises(UserError, match="no column 'load'.*--no-header"):
        read(path, "load")


@pytest.mark.parametrize("delimiter, content", [
    ("tab", "a b\tv\n1\t2\n"), (":", "a:v\n1:2\n"), ("space", "a  v\n1  2\n")])
def test_a_delimiter_that_is_given(tmp_path, delimiter, content):
    assert [r.value for r in read(write(tmp_path, content), delimiter=delimiter)] == [2]


@pytest.mark.parametrize("reading, said", [
    ({"delimiter": ";;"}, "--delimiter must be one sign.*got ';;'"),
    ({"delimiter": "a"}, "--delimiter must be one sign"),
    ({"delimiter": ""}, "--delimiter must be one sign"),
    ({"decimal": ";"}, "--decimal must be"),
    ({"delimiter": ".", "decimal": "."}, "must differ"),
    ({"time_format": "british"}, "--time-format must be.*day-first.*got 'british'"),
])
def test_readings_that_are_none(reading, said):
    with pytest.raises(UserError, match=said):
        Reading(**reading)


# Gaps


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "null", "None", "-", "NaN", "nan", "#N/A", "<NA>", "?", '" "'])
def test_a_cell_without_a_number_is_a_gap(tmp_path, cell):
    rows = read(write(tmp_path, f"w,v\na,1\na,{cell}\na,3\n"))
    assert [(r.value, r.where) for r in rows] == [(1, "line 2"), (None, "line 3"), (3, "line 4")]
    assert rows[1].text == "" and rows[1].why and not rows[0].why


def test_a_short_row_and_a_row_without_a_time_are_gaps(tmp_path):
    path = write(tmp_path, "v,t,w\n1,2024-01-01 00:00,x\n2,2024-01-0\n3,,x\n4\n5,2024-01-01 00:04,x\n")
    rows = read(path, timestamp="t")
    assert [r.value for r in rows] == [1, None, None, None, 5]
    assert [r.why for r in rows] == ["", "2 of 3 cells", "no timestamp in column 't'", "1 of 3 cells", ""]
    assert [r.when and r.when.minute for r in rows] == [0, None, None, None, 4]


# NuPIC


def test_nupic_header_lines_are_skipped(tmp_path):
    rows = read(write(tmp_path, "t,v\ndatetime,float\nT,\n7/13/10 0:00,21.2\n7/13/10 1:00,16.4\n"), timestamp="t")
    assert [(r.when.hour, r.value, r.reset) for r in rows] == [(0, 21.2, False), (1, 16.4, False)]


@pytest.mark.parametrize("cells, expected", [
    (["R", "1", "0", "0", "1", "0"], [True, False, False, True, False]),
    (["S", "a", "a", "b", "b", "a"], [False, False, True, False, True]),
    (["", "1", "0", "0", "1", "0"], [False] * 5),
])
def test_nupic_flags_begin_a_new_sequence(tmp_path, cells, expected):
    flag, *cells = cells
    rows = read(write(tmp_path, f"x,v\nstring,float\n{flag},C\n" + "".join(f"{c},1\n" for c in cells)))
    assert [r.reset for r in rows] == expected


def test_types_further_down_are_no_header(tmp_path):
    with pytest.raises(UserError, match="line 3 .*'float'"):
        read(write(tmp_path, "t,v\n2010-07-02 00:00,21.2\ndatetime,float\n"))


# Size and time


def test_chunks_are_bounded_and_complete(tmp_path):
    path = write(tmp_path, "v\n" + "".join(f"{i}\n" for i in range(50_000)))
    with CsvStream(path, "v") as stream:
        chunks = list(stream.chunks())
        assert stream.done == stream.size == path.stat().st_size
    assert max(map(len, chunks)) == CHUNK
    assert [r.value for rows in chunks for r in rows] == list(range(50_000))


def test_memory_is_constant(tmp_path):
    path = write(tmp_path, "v\n" + "123456.75\n" * 40_000)
    tracemalloc.start()
    try:
        with CsvStream(path, "v") as stream:
            assert sum(len(rows) for rows in stream.chunks()) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000  # all rows take some 8 million
    finally:
        tracemalloc.stop()


def test_several_columns(tmp_path):
    path = write(tmp_path, "a,b,c\n1,NA,3\n4,5,6\n")
    with open_source(path, ["c", "b"]) as stream:
        assert [[r.value for r in rows] for chunk in stream.tables() for rows in chunk] == [[3, None], [6, 5]]


@pytest.fixture
def pipe(tmp_path):
    """pipe(parts) -> a named pipe: each part is written when the one before has been read (`pipe.go_on()`)."""
    if sys.platform == "win32":
        pytest.skip("no named pipes in the file system")
    path, go_on, threads = tmp_path / "pipe", threading.Semaphore(0), []
    os.mkfifo(path)

    def begin(*parts):
        def write_parts():
            with open(path, "wb", buffering=0) as file:
                for part in parts:
                    file.write(part)
                    go_on.acquire(timeout=10)

        threads.append(threading.Thread(target=write_parts))
        threads[0].start()
        return path

    begin.go_on = go_on.release
    yield begin
    for thread in threads:
        thread.join()


def test_a_live_pipe_is_served_at_once(pipe):
    with CsvStream(pipe(b"v\n1\n2\n3", b"0\n4\n"), "v") as stream:
        chunks = stream.chunks()
        assert [r.value for r in next(chunks)] == [1, 2]  # without waiting for the end of the third
        pipe.go_on()
        assert [r.value for r in next(chunks)] == [30, 4]
        pipe.go_on()
        assert next(chunks, None) is None
        assert stream.size is None


def test_a_live_pipe_of_old_lines_and_blank_ones(pipe):
    with CsvStream(pipe(b"v\r1\r\r", b"\n2\r\n\n", b"\r3\r"), "v") as stream:
        chunks = stream.chunks()
        for expected in ([1], [2], [3]):
            assert [r.value for r in next(chunks)] == expected
            pipe.go_on()


def test_a_live_pipe_is_never_looked_ahead_in(pipe):
    with CsvStream(pipe(b"t,v\n13/2/10,1\n", b"1/3/10,2\n"), "v", "t") as stream:
        chunks = stream.chunks()
        assert [r.when.month for r in next(chunks)] == [2]
        pipe.go_on()
        assert [r.when.month for r in next(chunks)] == [3]
        pipe.go_on()


def test_a_live_pipe_that_could_be_read_in_two_ways_is_refused_at_once(pipe):
    with CsvStream(pipe(b"t,v\n1/2/10,1\n13/2/10,1\n"), "v", "t") as stream:
        with pytest.raises(RowError, match="line 2 .*day-first.*month-first.*--time-format"):
            next(stream.chunks())
        pipe.go_on()


# What is refused


@pytest.mark.parametrize("content, said", [
    ("", "must have a line of column names.*got an empty file"),
    ("\n\n", "got an empty file"),
    ("v\n", "must have rows of numbers, got a header and no rows"),
    ("t,v\ndatetime,float\nT,\n", "header and no rows"),
    ("a,b\n1,2\n", "no column 'v'.* 'a', 'b'"),
    ("v,v\n1,2\n", "2 columns named 'v'"),
    ("v\n1\ntext\n", "line 3 must have a number in column 'v', got 'text'"),
    ("v\n1\n1_000\n", "line 3 must have a number .*got '1_000'"),
    ("v\n-inf\n", "line 2 must have a finite number .*got '-inf'"),
    ("v\n1e400\n", "line 2 must have a finite number .*got '1e400'"),
    ("v\n1e200\n", "line 2 must have a number up to 1e\\+100 .*got '1e200'"),
    ("v\n5 %\n", "line 2 must have a number .*got '5 %'; .*without a unit"),
    ("v\n1,5\n2,5\n", "line 2 must have 1 cells as the header, got 2.*decimal comma"),
    ('v\n"1,5"\n', "line 2 must have a number .*got '1,5'; .*--decimal"),
    ("v,w\n1,2\n3,4,5\n", "line 3 must have 2 cells .*got 3"),
    (b"v\n1\n\xff\xfe\n", "line 3 must be UTF-8 text, got byte 0xff"),
    (b"v\n1\n\xc3", "line 3 must be UTF-8 text, got byte 0xc3"),
    (b"\xff\xfev\0\n\x001\0\n\0\0\xd8\n\0", "line 3 must be UTF-16 text"),
    (b"v\n1\n2\x003\n", "line 3 must be text, got a byte 0"),
    ('v\n1\n"2\n3\n', "line 4 cannot be read as CSV.*quote"),
    ('v\n1\n"2"3\n', "line 3 cannot be read as CSV"),
    (b"v\n" + b"1" * 2_000_000, "line 2 must be at most 1,048,576 bytes"),
    (b"PK\x03\x04...", "got a ZIP archive or an Excel file; save the sheet as CSV"),
    (b"BZh9...", "packed by bzip2; .*bzcat"),
])
def test_bad_files(tmp_path, content, said):
    with pytest.raises(UserError, match=said) as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)


def test_rows_before_a_bad_one_are_read(tmp_path):
    with CsvStream(write(tmp_path, "v\n1\n2\nmany\n4\n"), "v") as stream:
        chunks = stream.chunks()
        assert [r.value for r in next(chunks)] == [1, 2]
        with pytest.raises(RowError, match="line 4"):
            next(chunks)


def test_bad_paths(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        CsvStream(tmp_path / "none.csv", "v")
    with pytest.raises(UserError, match="got a folder"):
        CsvStream(tmp_path, "v")
    with pytest.raises(UserError, match="no column 'T'.*'v'"):
        CsvStream(write(tmp_path, "v\n1\n"), "v", "T")
