"""Reads columns of a CSV file or of a live pipe, row by row, in constant memory, without waiting for a full block."""

import csv
from itertools import chain

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.base import Reading, Record
from deephtm_gpu.sources.lines import Lines, LineSource
from deephtm_gpu.sources.numbers import NumberReader

DELIMITERS = (",", ";", "\t", "|")

# The second and third line of NuPIC's files: a type and a flag (timestamp, reset, sequence, ...) per column.
NUPIC_TYPES = {"datetime", "float", "int", "string", "bool", "list", "address"}
NUPIC_FLAGS = {"", "T", "R", "S", "C", "L"}


class CsvStream(LineSource):
    """The rows of a CSV file: numbers in some columns, and the time in another.

    The first line names the columns. What separates the cells is found from it. Blank lines and a header that comes
    again are skipped. A type line and a flag line in NuPIC's format after the header are obeyed: a new sequence begins
    where a column with the flag R is not 0, and where one with the flag S changes. A row that is short is a gap.

    Parameters
    ----------
    path : str, Path or ByteStream
        The file; "-" for the standard input.
    columns : str or list of str
        The names of the columns of numbers.
    timestamp : str, optional
        The name of the column of timestamps.
    reading : Reading, optional
        How to read it.

    Attributes
    ----------
    name, size, done
        As of `ByteStream`.

    Raises
    ------
    UserError
        With the line number: here for the file and its header, from `chunks` for its rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from deephtm_gpu.sources.csv_file import CsvStream
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "load.csv"
    >>> _ = path.write_text("when;load\\n2024-01-01 00:00;1,5\\n2024-01-01 00:30;2\\n")
    >>> with CsvStream(path, "load", "when") as stream:
    ...     for rows in stream.chunks():
    ...         print([row.value for row in rows])
    [1.5, 2.0]
    """

    def __init__(self, path, columns, timestamp=None, reading=None):
        self._open(path)
        reading = reading or Reading()
        try:
            self._lines = Lines(self._stream)
            wanted = [columns] if isinstance(columns, str) else list(columns)
            wanted += [] if timestamp is None else [timestamp]
            between = self._begin(reading, wanted)
            super().__init__(columns, timestamp, reading, between)
            at = [self._find(name, reading) for name in wanted]
        except BaseException:
            self.close()
            raise
        self._value_at = at[:len(self.columns)]
        self._stamp_at = None if timestamp is None else at[-1]
        self._flags, self._sequence = {}, None  # flag -> the columns that have it

    @classmethod
    def reads(cls, stream):
        return True

    # The header

    def _begin(self, reading, wanted):
        """Reads the names of the columns. Returns what separates cells, None where there is one column."""
        lines = iter(self._lines)
        first = next((line for line in lines if line.strip()), None)
        if first is not None and first.lower().startswith("sep=") and len(first) == 5:  # Excel's own line
            reading = Reading(reading.delimiter or first[4])
            first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise UserError(f"{self.name} must have a line of column names and rows of numbers, got an empty file; "
                            "name another file.")
        sign = reading.delimiter or _delimiter(first, wanted, reading.header)
        text = (line + "\n" for line in chain([first], lines))
        self._parser = csv.reader(text, delimiter=sign, skipinitialspace=True, strict=True)
        self._again = None
        names = self._cells()
        if not reading.header:
            self._again, names = names, [str(n + 1) for n in range(len(names))]
        self._names, self._nupic_lines = names, [NUPIC_FLAGS, NUPIC_TYPES] if reading.header else []
        return sign if len(names) > 1 or reading.delimiter else None

    def _find(self, column, reading):
        found = [i for i, name in enumerate(self._names) if name == column]
        if len(found) == 1:
            return found[0]
        columns = ", ".join(map(repr, self._names))
        columns = columns if len(columns) < 1000 else columns[:1000] + " ..."
        if found:
            raise UserError(f"{self.name} has {len(found)} columns named {column!r} (of {columns}); rename all "
                            "but one.")
        hint = "name one of these"
        if reading.header and any(map(_is_number, self._names)):
            hint += ", or, where its first line is a row already, give --no-header and the column's number"
        elif not reading.header:
            hint = "without a header columns are named by their numbers: name one of these"
        raise UserError(f"{self.name} has no column {column!r}; it has {columns}: {hint}.")

    # From lines to records

    def _records(self):
        while (cells := self._cells()) is not None:
            if not cells or cells == self._names or self._is_nupic_line(cells):
                yield None
            else:
                yield self._record(cells)

    def _cells(self):
        """The next list of cells, empty for a blank line; None at the end."""
        if self._again is not None:
            cells, self._again = self._again, None
            return cells
        try:
            cells = next(self._parser, None)
        except csv.Error as error:
            raise self._lines.error(f"cannot be read as CSV ({error}); look for a quote that is not closed.",
                                    after=0) from None
        return cells and [c.strip().lstrip("\ufeff") for c in cells]

    def _record(self, cells):
        where, width, why = f"line {self._lines.number}", len(self._names), ""
        if len(cells) > width:
            if any(cells[width:]):
                raise self._error(where, f"must have {width} cells as the header, got {len(cells)}; correct or remove "
                                         "the line, and write a number with a decimal comma in quotes.")
            cells = cells[:width]  # delimiters at the end
        if len(cells) < width:
            if any(self._names[len(cells):]):
                why = f"{len(cells)} of {width} cells"
            cells = cells + [""] * (width - len(cells))
        stamp = None if self._stamp_at is None else cells[self._stamp_at]
        return Record(where, tuple([cells[i] for i in self._value_at]), stamp, self._resets(cells), why)

    # NuPIC

    def _is_nupic_line(self, cells):
        """Whether this is the type line, directly after the header, or the flag line, directly after the type line."""
        if self._nupic_lines and set(cells) <= self._nupic_lines[-1] and any(cells + [len(self._nupic_lines) == 1]):
            self._nupic_lines.pop()
            if not self._nupic_lines:
                self._flags = {flag: [i for i, c in enumerate(cells) if c == flag] for flag in "RS" if flag in cells}
            return True
        self._nupic_lines = []
        return False

    def _resets(self, cells):
        if not self._flags:
            return False
        reset = any(cells[i] not in ("", "0", "0.0", "False", "false") for i in self._flags.get("R", ()))
        sequence, before = [cells[i] for i in self._flags.get("S", ())], self._sequence
        self._sequence = sequence
        return reset or before not in (None, sequence)


def _delimiter(line, wanted, header):
    """That of the header: the one by which it has the wanted columns, among these the one that makes most of them."""
    cells = {sign: [c.strip() for c in next(csv.reader([line], delimiter=sign, skipinitialspace=True), [])]
             for sign in DELIMITERS}
    if not header:  # a decimal comma is more likely than another sign within a cell
        return next((sign for sign in (*DELIMITERS[1:], ",") if len(cells[sign]) > 1), ",")
    fit = [sign for sign in DELIMITERS if set(wanted) <= set(cells[sign])] or DELIMITERS
    return max(fit, key=lambda sign: len(cells[sign]))


def _is_number(text):
    try:
        NumberReader()(text)
    except ValueError:
        return False
    return True
