"""Reads a column of a CSV file or of a live pipe, row by row, in constant memory, without waiting for a full block."""

import csv
import math
import os
import stat

from deephtm_gpu.data.timestamps import TimestampReader
from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.base import CHUNK, Row, Source

BLOCK = 65536  # bytes per read; a pipe returns what it has
LONGEST_LINE = 1 << 20  # bytes: a file with longer lines is no CSV file, and would fill the memory
LARGEST = 1e100  # beyond this, sums and scales leave the range of float64

# The second and third line of NuPIC's files: a type and a flag (timestamp, reset, sequence, ...) per column.
NUPIC_TYPES = {"datetime", "float", "int", "string", "bool", "list", "address"}
NUPIC_FLAGS = {"", "T", "R", "S", "C", "L"}


class CsvStream(Source):
    """The rows of a CSV file: the number in one column, and the time in another.

    The first line names the columns. A type line and a flag line in NuPIC's format after it are skipped, and so are
    blank lines.

    Parameters
    ----------
    path : str or Path
        The file; "-" for the standard input.
    column : str
        The name of the column of numbers.
    timestamp : str, optional
        The name of the column of timestamps.

    Attributes
    ----------
    name : str
        The file, for messages.
    size : int or None
        Bytes of the file; None for a pipe.
    done : int
        Bytes of the rows that `chunks` has yielded.

    Raises
    ------
    UserError
        With the line number: here for the file and its header, from `chunks` for its rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from deephtm_gpu.sources.csv_file import CsvStream
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "load.csv"
    >>> _ = path.write_text("when,load\\n2024-01-01 00:00,1.5\\n2024-01-01 00:30,2\\n")
    >>> with CsvStream(path, "load", "when") as stream:
    ...     for rows in stream.chunks():
    ...         print([row.value for row in rows])
    [1.5, 2.0]
    """

    def __init__(self, path, column, timestamp=None):
        self.name = "standard input" if path == "-" else str(path)
        self.done = 0
        self._line = 0
        self._nupic_lines = [NUPIC_FLAGS, NUPIC_TYPES]  # that may still come, the next one last
        self._ready = 0  # complete lines that have arrived and are not parsed yet
        self._file = self._open(path)
        try:
            info = os.fstat(self._file.fileno())
            self.size = info.st_size if stat.S_ISREG(info.st_mode) else None
            self._rows = csv.reader(self._lines(), skipinitialspace=True, strict=True)
            self._columns = self._header()
            self._value_at = self._find(column)
            self._stamp_at = None if timestamp is None else self._find(timestamp)
        except BaseException:
            self.close()
            raise
        self._read_time = TimestampReader()

    @classmethod
    def reads(cls, spec):
        return True

    def close(self):
        self._file.close()

    def chunks(self):
        rows, any_row = [], False
        for cells in self._parsed():
            if not self._is_nupic_line(cells):
                rows.append(self._row(cells))
            if rows and (len(rows) == CHUNK or not self._ready):
                yield rows
                rows, any_row = [], True
        if rows:
            yield rows
        elif not any_row:
            raise UserError(f"{self.name} must have rows of numbers, got a header and no rows; add rows.")

    # From bytes to cells

    def _open(self, path):
        if path != "-" and os.path.isdir(path):
            raise UserError(f"{self.name} must be a CSV file, got a folder; name a file in it.")
        try:
            # Unbuffered: a read returns what the pipe holds and does not wait for a whole block.
            return open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-")
        except FileNotFoundError:
            raise UserError(f"{self.name} cannot be opened (no such file); check its path.") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise UserError(f"{self.name} cannot be opened ({_reason(error)}); check the file and its "
                            "permissions.") from None

    def _lines(self):
        """The lines as text, each with its "\\n"."""
        rest = b""
        while block := self._block():
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > LONGEST_LINE:
                raise self._error(f"must be at most {LONGEST_LINE:,} bytes; check that this is a "
                                  "CSV file.", 1 + len(lines))
            self._ready = len(lines)
            for line in lines:
                self._ready -= 1
                self.done += len(line) + 1
                yield self._decode(line)
        if rest:
            self.done += len(rest)
            yield self._decode(rest)

    def _block(self):
        try:
            return self._file.read(BLOCK)
        except OSError as error:
            raise UserError(f"{self.name} cannot be read further ({_reason(error)}); check the file and "
                            "its disk.") from None

    def _decode(self, line):
        self._line += 1
        try:
            return line.decode("utf-8-sig" if self._line == 1 else "utf-8") + "\n"
        except UnicodeDecodeError as error:
            raise self._error(f"must be UTF-8 text, got byte 0x{line[error.start]:02x}; save the file "
                              "as UTF-8.") from None

    def _parsed(self):
        """Lists of cells, without blank lines."""
        while True:
            try:
                cells = next(self._rows, None)
            except csv.Error as error:
                raise self._error(f"cannot be read as CSV ({error}); look for a quote that is not closed.") from None
            if cells is None:
                return
            if cells:
                yield [c.strip() for c in cells]

    # From cells to rows

    def _header(self):
        columns = next(self._parsed(), None)
        if columns is None:
            raise UserError(f"{self.name} must have a line of column names and rows of numbers, got an empty file; "
                            "name another file.")
        return columns

    def _find(self, column):
        found = [i for i, name in enumerate(self._columns) if name == column]
        if len(found) == 1:
            return found[0]
        columns = ", ".join(map(repr, self._columns))
        if found:
            raise UserError(f"{self.name} has {len(found)} columns named {column!r} (of {columns}); rename all "
                            "but one.")
        raise UserError(f"{self.name} has no column {column!r}; it has {columns}: name one of these.")

    def _is_nupic_line(self, cells):
        """Whether this is the type line, directly after the header, or the flag line, directly after the type line."""
        if self._nupic_lines and set(cells) <= self._nupic_lines[-1]:
            self._nupic_lines.pop()
            return True
        self._nupic_lines = []
        return False

    def _row(self, cells):
        if len(cells) != len(self._columns):
            raise self._error(f"must have {len(self._columns)} cells as the header, got {len(cells)}; correct or "
                              "remove the line.")
        text = cells[self._value_at]
        value = self._number(text)
        if self._stamp_at is None:
            return Row(value, text, None, "")
        stamp = cells[self._stamp_at]
        try:
            return Row(value, text, self._read_time(stamp), stamp)
        except ValueError as error:
            column = self._columns[self._stamp_at]
            raise self._error(f"must have a timestamp in column {column!r}, got {stamp!r}; {error}.") from None

    def _number(self, text):
        column = self._columns[self._value_at]
        try:
            value = float(text.replace("_", "?"))  # Python reads 1_000 as a number, other programs do not
        except ValueError:
            got = repr(text) if text else "nothing"
            raise self._error(f"must have a number in column {column!r}, got {got}; write one such as 12.5, or remove "
                              "the line.") from None
        if not math.isfinite(value):
            raise self._error(f"must have a finite number in column {column!r}, got {text}; fill it in, or remove "
                              "the line.")
        if abs(value) > LARGEST:
            raise self._error(f"must have a number up to {LARGEST:g} in column {column!r}, got {text}; use a "
                              "larger unit.")
        return value

    def _error(self, what, lines_after=0):
        return UserError(f"{self.name}: line {self._line + lines_after} {what}")


def _reason(error):
    return getattr(error, "strerror", None) or error
