"""Reads Parquet and Arrow files, and a live Arrow stream, through pyarrow."""

import sys

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.base import CHUNK, Record, RowError, Source
from deephtm_gpu.sources.byte_stream import ByteStream

PARQUET, FILE, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"  # how they begin


class ArrowFile(Source):
    """The rows of a Parquet file, an Arrow file (Feather) or an Arrow stream. A null is a gap.

    Parameters
    ----------
    path, columns, timestamp, reading
        As of `CsvStream`.

    Raises
    ------
    UserError
        Where pyarrow is missing: it comes with `pip install 'deephtm_gpu[arrow]'`.
    """

    def __init__(self, path, columns, timestamp=None, reading=None):
        self._stream = path if isinstance(path, ByteStream) else ByteStream(path)
        self.name, self.size = self._stream.name, self._stream.size
        super().__init__(columns, timestamp, reading, ",")
        self._wanted = [*self.columns, *([timestamp] if timestamp else [])]
        try:
            self._arrow = _import_arrow(self.name)
            with _sentences(self, UserError):
                self._file = self._open()
                self._check(self._file.schema_arrow if self._is(PARQUET) else self._file.schema)
        except BaseException:
            self.close()
            raise
        self._row_number = 0

    @classmethod
    def reads(cls, stream):
        return stream.head.startswith((PARQUET, FILE)) or stream.head[:4] == STREAM

    @property
    def done(self):
        return self._stream.done

    def close(self):
        self._stream.close()

    def _is(self, kind):
        return self._stream.head.startswith(kind)

    def _open(self):
        if self._is(STREAM):
            return self._arrow.ipc.open_stream(_Joined(self._stream))
        if self.size is None:
            raise UserError(f"{self.name} must be a file to be read as Parquet or Arrow, got a pipe; name the file, or "
                            "write an Arrow stream to the pipe.")
        if self._stream.path == "-":
            source = self._arrow.PythonFile(sys.stdin.buffer.raw, "r")
            source.seek(0)
        else:
            source = self._stream.path
        if self._is(PARQUET):
            return self._arrow.parquet.ParquetFile(source)
        return self._arrow.ipc.open_file(source)

    def _check(self, schema):
        for name in self._wanted:
            count = schema.names.count(name)
            columns = ", ".join(map(repr, schema.names))
            if count != 1:
                how = f"{count} columns named" if count else "no column"
                raise UserError(f"{self.name} has {how} {name!r}; it has {columns}: name one of these"
                                f"{', or rename all but one' if count else ''}.")

    def _batches(self):
        if self._is(PARQUET):
            yield from self._file.iter_batches(CHUNK, columns=self._wanted)
        elif self._is(STREAM):
            yield from self._file
        else:
            for i in range(self._file.num_record_batches):
                yield self._file.get_batch(i)

    def _records(self):
        with _sentences(self, RowError):
            for batch in self._batches():
                batch.validate(full=True)  # pyarrow would read outside of a damaged batch
                for begin in range(0, batch.num_rows, CHUNK):
                    part = batch.slice(begin, CHUNK)
                    columns = [_cells(self._arrow, part.column(part.schema.names.index(n))) for n in self._wanted]
                    yield from map(self._record, zip(*columns))

    def _record(self, cells):
        self._row_number += 1
        stamp = None if self.timestamp is None else cells[-1]
        stamp = str(stamp) if isinstance(stamp, (int, float)) else stamp
        return Record(f"row {self._row_number}", cells[:len(self.columns)], stamp)


class _Joined:
    """A ByteStream as a file object: `read(n)` waits until there are n bytes."""

    def __init__(self, stream):
        self._stream, self._rest, self.closed = stream, b"", False

    def read(self, n=-1):
        while n < 0 or len(self._rest) < n:
            if not (block := self._stream.read()):
                break
            self._rest += block
        n = len(self._rest) if n < 0 else n
        found, self._rest = self._rest[:n], self._rest[n:]
        return found

    def close(self):
        self.closed = True

    def readable(self):
        return True

    def writable(self):
        return False

    def seekable(self):
        return False


class _sentences:
    """What pyarrow raises becomes one sentence. kind: the class of the error."""

    def __init__(self, source, kind):
        self._source, self._kind = source, kind

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        its_own = (self._source._arrow.ArrowException, OSError, EOFError, ValueError, OverflowError)
        if isinstance(error, its_own) and not isinstance(error, UserError):
            first = " ".join(str(error).split())[:200].rstrip(".")
            raise self._kind(f"{self._source.name} cannot be read as Parquet or Arrow ({first}); write the file "
                             "again.") from None


def _cells(arrow, column):
    """The cells as Python objects. Nanoseconds are cut to microseconds: a datetime has no more."""
    kind = column.type
    if arrow.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if arrow.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(arrow.timestamp("us", kind.tz), safe=False)
    return column.to_pylist()


def _import_arrow(name):
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{name} is a Parquet or Arrow file, and pyarrow, which reads them, is not installed; install "
                        "it by pip install 'deephtm_gpu[arrow]'.") from None
    return pyarrow
