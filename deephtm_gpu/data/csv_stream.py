"""Reads a column of a CSV file or of a live pipe, row by row, in constant memory, as fast as rows arrive."""

import csv
import math
import os
import stat
from datetime import datetime
from typing import NamedTuple

from deephtm_gpu.data.timestamps import TimestampReader
from deephtm_gpu.errors import UserError

CHUNK = 512  # rows handed over at most at once
BLOCK = 65536  # bytes asked for at once; a pipe gives what it has
LONGEST_LINE = 1 << 20  # bytes: more is no CSV file, and would be kept in memory
LARGEST = 1e100  # beyond, sums and scales leave the range of float64

# The second and third line of NuPIC's files: a type and a flag (timestamp, reset, sequence, ...) per column.
NUPIC_TYPES = {"datetime", "float", "int", "string", "bool", "list", "address"}
NUPIC_FLAGS = {"", "T", "R", "S", "C", "L"}


class Row(NamedTuple):
    """value: a finite number; text: as it stood in the file; when, stamp: its timestamp, read and as text (None, "" without)."""

    value: float
    text: str
    when: datetime | None
    stamp: str


class CsvStream:
    """The rows of `path` ("-": the standard input): the number in `column`, the time in `timestamp` if one is named.

    The first line names the columns; a type and a flag line of the NuPIC kind behind it are skipped, and so are blank lines.
    size: bytes in the file, None for what has no end known (a pipe). done: bytes handed over. Raises UserError, with the
    line number, at once for the file and its header, and from `chunks` for the rows.
    """

    def __init__(self, path, column, timestamp=None):
        self.name = "standard input" if path == "-" else str(path)
        self.done = 0
        self._line = 0
        self._lines_of_nupic = [NUPIC_FLAGS, NUPIC_TYPES]  # that may still come, the next one last
        self._ready = 0  # complete lines that have arrived and are not handed over
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

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def close(self):
        self._file.close()

    def chunks(self):
        """Yields lists of 1 to CHUNK `Row`s. Hands over what has arrived before it waits for more."""
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
            raise UserError(f"{self.name} has a header and no rows below it; rows of numbers are needed.")

    # From bytes to cells

    def _open(self, path):
        if path != "-" and os.path.isdir(path):
            raise UserError(f"{self.name} was to be read as a CSV file, but is a folder; name a file in it.")
        try:
            # Unbuffered: a read then returns what a pipe holds, instead of waiting until a whole block has come.
            return open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-")
        except FileNotFoundError:
            raise UserError(f"{self.name} was to be read, but there is no such file; check its path.") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise UserError(f"{self.name} cannot be opened ({_reason(error)}); check the file and its permissions.") from None

    def _lines(self):
        """The lines as text, each with its "\\n"."""
        rest = b""
        while block := self._block():
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > LONGEST_LINE:
                raise self._error(f"is longer than {LONGEST_LINE:,} bytes; is this a CSV file?", 1 + len(lines))
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
            raise UserError(f"{self.name} cannot be read on ({_reason(error)}).") from None

    def _decode(self, line):
        self._line += 1
        try:
            return line.decode("utf-8-sig" if self._line == 1 else "utf-8") + "\n"
        except UnicodeDecodeError as error:
            raise self._error(f"holds byte 0x{line[error.start]:02x}, which is no UTF-8 text; save the file as UTF-8.") from None

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
            raise UserError(f"{self.name} is empty; a line with column names and rows of numbers are needed.")
        return columns

    def _find(self, column):
        places = [i for i, name in enumerate(self._columns) if name == column]
        if len(places) == 1:
            return places[0]
        there = ", ".join(map(repr, self._columns))
        if places:
            raise UserError(f"{self.name} has {len(places)} columns named {column!r} (of {there}); rename all but one.")
        raise UserError(f"{self.name} has no column {column!r}; it has {there}: name one of these.")

    def _is_nupic_line(self, cells):
        """Whether this is the type line, right behind the header, or the flag line, right behind the type line."""
        if self._lines_of_nupic and set(cells) <= self._lines_of_nupic[-1]:
            self._lines_of_nupic.pop()
            return True
        self._lines_of_nupic = []
        return False

    def _row(self, cells):
        if len(cells) != len(self._columns):
            raise self._error(f"has {len(cells)} cells where the header has {len(self._columns)}; correct or remove the line.")
        text = cells[self._value_at]
        value = self._number(text)
        if self._stamp_at is None:
            return Row(value, text, None, "")
        stamp = cells[self._stamp_at]
        try:
            return Row(value, text, self._read_time(stamp), stamp)
        except ValueError as error:
            raise self._error(f"has {stamp!r} in the timestamp column {self._columns[self._stamp_at]!r}; {error}.") from None

    def _number(self, text):
        column = self._columns[self._value_at]
        try:
            value = float(text.replace("_", "?"))  # Python would read 1_000, no other program does
        except ValueError:
            shown = f"has {text!r} in column {column!r}, which is not a number" if text else f"has nothing in column {column!r}"
            raise self._error(f"{shown}; write a number such as 12.5, or remove the line.") from None
        if not math.isfinite(value):
            raise self._error(f"has {text} in column {column!r}; only finite numbers can be learned: fill it in or remove the line.")
        if abs(value) > LARGEST:
            raise self._error(f"has {text} in column {column!r}; numbers up to {LARGEST:g} can be learned: use a larger unit.")
        return value

    def _error(self, what, further=0):
        return UserError(f"{self.name}: line {self._line + further} {what}")


def _reason(error):
    return getattr(error, "strerror", None) or error
