"""What a source of rows is, and how its cells become rows."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import NamedTuple, Self

from deephtm_gpu.data.timestamps import TimestampReader
from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.numbers import NumberReader, checked, is_gap, is_plain

CHUNK = 512  # rows, the most that `chunks` yields at once
LOOK = 20_000  # rows of a file that are looked at to find out how to read one: two weeks of minutes
SHIFT = timedelta(hours=2)  # the clock goes back by so much at most, once: the end of summer time
DECIMALS = (".", ",")


class RowError(UserError):
    """A row that cannot be read. The rows before it were good."""


class Row(NamedTuple):
    """One row of a series.

    Attributes
    ----------
    value : float or None
        Finite; None for a gap: there is no number.
    text : str
        The value as the source writes it, with a decimal point; "" for a gap.
    when : datetime or None
        Its timestamp; None where there are none.
    stamp : str
        The timestamp as the source writes it; "" where there are none.
    reset : bool
        Whether a new sequence begins with this row.
    where : str
        Such as "line 7".
    why : str
        Of a gap: what there was instead of a number.
    """

    value: float | None
    text: str
    when: datetime | None
    stamp: str
    reset: bool = False
    where: str = ""
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """How a source is to be read, where the user says so; None: it is found out.

    Parameters
    ----------
    delimiter : str, optional
        What separates the cells of a line.
    decimal : {".", ","}, optional
        The decimal sign.
    time_format : str, optional
        See `TimestampReader`.
    header : bool, default True
        Whether the first line names the columns; False: they are called 1, 2, 3, ...

    Raises
    ------
    UserError
        For a value that is none of these.

    Examples
    --------
    >>> from deephtm_gpu.sources import Reading
    >>> Reading(delimiter="tab").delimiter
    '\\t'
    """

    delimiter: str | None = None
    decimal: str | None = None
    time_format: str | None = None
    header: bool = True

    def __post_init__(self):
        one = {"tab": "\t", "\\t": "\t", "space": " "}.get(self.delimiter, self.delimiter)
        object.__setattr__(self, "delimiter", one)
        if one is not None and (len(one) != 1 or one in '"\r\n\0' or one.isalnum()):
            raise UserError(f"--delimiter must be one sign such as , ; | or the word tab or space, got {one!r}; give "
                            "one of these.")
        if self.decimal not in (None, *DECIMALS):
            raise UserError(f"--decimal must be . or , got {self.decimal!r}; give one of these.")
        if one is not None and one == self.decimal == ".":
            raise UserError("--delimiter and --decimal must differ, got . for both; give another one.")
        TimestampReader(self.time_format)


class Record(NamedTuple):
    """What a source says of one row. where: "line 7". values: one cell for each column, a str, a number or None. stamp:
    likewise. reset: whether a new sequence begins. why: what is wrong with the whole row, which is a gap then."""

    where: str
    values: tuple
    stamp: object = None
    reset: bool = False
    why: str = ""


class Source:
    """Rows of numbers, in the order in which they came. A context manager: leaving it closes the source.

    A subclass is made as Subclass(spec, columns, timestamp, reading) and sets `between` for its numbers. It raises
    UserError where there is nothing to be read.

    Parameters
    ----------
    columns : str or list of str
        The names of the columns of numbers.
    timestamp : str, optional
        That of the column of timestamps.
    reading : Reading, optional
        How to read it.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        How much there is, in units of `done`, such as bytes; None for a live stream.
    done : int
        How much has been read.
    columns : list of str
    timestamp : str or None
    """

    name: str
    size: int | None = None
    done: int = 0

    def __init__(self, columns: str | list[str], timestamp: str | None, reading: Reading | None, between: str | None):
        self.columns = [columns] if isinstance(columns, str) else list(columns)
        self.timestamp, self._reading = timestamp, reading or Reading()
        self._numbers = [NumberReader(self._reading.decimal, between) for _ in self.columns]
        self._cell_of = [partial(_value_of, i) for i in range(len(self.columns))]
        self._read_time = TimestampReader(self._reading.time_format)
        self._queue: deque[Record | RowError | None] = deque()  # looked at, and not yet taken
        self._incoming: Iterator[Record | None] = iter(())
        self._last: datetime | None = None
        self._went_back = False

    # For subclasses

    def _records(self) -> Iterator[Record | None]:
        """Yields the rows; None for what is none, such as a blank line. Raises RowError."""
        raise NotImplementedError

    def _waits(self) -> bool:
        """Whether the next record may be long in coming."""
        return False

    def close(self) -> None:
        """Frees what is open."""

    # For users

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure) -> None:
        self.close()

    def chunks(self) -> Iterator[list[Row]]:
        """Yields lists of 1 to CHUNK rows of the first column: those that have arrived, before it waits for more.

        Raises
        ------
        RowError
            For a row that cannot be read, after the rows before it.
        UserError
            Where there are no rows.
        """
        for rows in self.tables():
            yield [row[0] for row in rows]

    def tables(self) -> Iterator[list[tuple[Row, ...]]]:
        """As `chunks`, with a Row for each column."""
        rows, any_row, self._incoming = [], False, iter(self._records())
        try:
            for record in self._taken():
                if record is not None:
                    rows.append(self._row(record))
                if rows and (len(rows) == CHUNK or not self._queue and self._waits()):
                    yield rows
                    rows, any_row = [], True
        except RowError:
            if rows:
                yield rows
            raise
        if rows:
            yield rows
        elif not any_row:
            raise UserError(f"{self.name} must have rows of numbers, got a header and no rows; add rows.")

    def _taken(self):
        while True:
            item = self._queue.popleft() if self._queue else next(self._incoming, self)
            if item is self:
                return
            if isinstance(item, RowError):
                raise item
            yield item

    # Looking ahead

    def _later(self, cell_of) -> Iterator[str]:
        """The texts of the rows after this one: of a file the next LOOK, of a live stream none."""
        if self.size is None:
            return
        for record in chain(list(self._queue), self._fetched()):
            if isinstance(record, Record) and isinstance(cell := cell_of(record), str) and not is_gap(cell):
                yield cell

    def _fetched(self):
        while len(self._queue) < LOOK:
            try:
                record = next(self._incoming, self)
            except RowError as error:
                record, self._incoming = error, iter(())
            if record is self:
                return
            self._queue.append(record)
            yield record

    # From cells to rows

    def _row(self, record) -> tuple[Row, ...]:
        stamp = "" if record.stamp is None else _written(record.stamp)
        when = self._when(record, stamp) if self.timestamp is not None else None
        why = record.why
        if self.timestamp is not None and when is None and not why:
            why = f"no timestamp in column {self.timestamp!r}"
        return tuple(self._one(i, cell, record, when, stamp, why) for i, cell in enumerate(record.values))

    def _one(self, i, cell, record, when, stamp, why) -> Row:
        if why or is_gap(cell):
            return Row(None, "", when, stamp, record.reset, record.where, why or _shown(cell))
        value, text = self._number(i, cell, record)
        return Row(value, text, when, stamp, record.reset, record.where)

    def _number(self, i, cell, record):
        column = self.columns[i]
        try:
            if isinstance(cell, str):
                text = cell.strip()
                value = self._numbers[i](text, self._later(self._cell_of[i]))
                return value, text if is_plain(text) else f"{value:.15g}"
            if isinstance(cell, bool) or not isinstance(cell, (int, float, Decimal)):
                raise ValueError("a number", "write one such as 12.5, or remove the row")
            return checked(_as_float(cell)), str(cell)
        except ValueError as error:
            what, remedy = error.args
            raise self._error(record.where, f"must have {what} in column {column!r}, got {_shown(cell)}; "
                                            f"{remedy}.") from None

    def _when(self, record, stamp):
        cell = record.stamp
        if record.why or is_gap(cell):  # a row that is cut short may end within its timestamp
            return None
        if isinstance(cell, datetime):
            when = cell.replace(tzinfo=None)
        elif isinstance(cell, date):
            when = datetime(cell.year, cell.month, cell.day)
        else:
            when = self._parsed_time(record, stamp)
        self._check_order(record, when, stamp)
        return when

    def _parsed_time(self, record, stamp):
        try:
            return self._read_time(stamp.strip(), self._later(_stamp_of))
        except ValueError as error:
            raise self._error(record.where, f"must have a timestamp in column {self.timestamp!r}, got {stamp!r}; "
                                            f"{error}.") from None

    def _check_order(self, record, when, stamp):
        """Raises RowError where time goes back, but for an hour in autumn."""
        back = self._last is not None and when < self._last and not record.reset
        if back and (self._went_back or self._last - when > SHIFT):
            raise self._error(record.where, f"must not be earlier than the row before, got {stamp!r} in column "
                                            f"{self.timestamp!r} after {self._last}; sort the rows, the oldest first.")
        self._went_back, self._last = back, when

    def _error(self, where, what):
        return RowError(f"{self.name}: {where} {what}")


def _value_of(i, record):
    return record.values[i]


def _stamp_of(record):
    return record.stamp if record.stamp is None or isinstance(record.stamp, str) else str(record.stamp)


def _written(cell):
    return cell if isinstance(cell, str) else str(cell)


def _shown(cell):
    if cell is None or cell == "":
        return "nothing"
    shown = repr(cell) if isinstance(cell, str) else str(cell)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _as_float(number):
    try:
        return float(number)
    except OverflowError:
        return float("inf")
