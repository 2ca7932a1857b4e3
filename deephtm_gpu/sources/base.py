"""What a source of rows is."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Self

CHUNK = 512  # rows, the most that `chunks` yields at once


class Row(NamedTuple):
    """One row of a series.

    Attributes
    ----------
    value : float
        Finite.
    text : str
        The value as the source writes it.
    when : datetime or None
        Its timestamp; None where there are none.
    stamp : str
        The timestamp as the source writes it; "" where there are none.
    """

    value: float
    text: str
    when: datetime | None
    stamp: str


class Source:
    """Rows of a number each, in the order in which they came. A context manager: leaving it closes the source.

    A subclass is made as Subclass(spec, column, timestamp): what the user typed, the name of the column of numbers, and
    of that of timestamps or None. It raises UserError where there is nothing to be read.

    Attributes
    ----------
    name : str
        For messages.
    size : int or None
        How much there is, in units of `done`, such as bytes; None where nobody knows.
    done : int
        How much `chunks` has yielded.
    """

    name: str
    size: int | None = None
    done: int = 0

    @classmethod
    def reads(cls, spec: str) -> bool:
        """Whether this kind of source is meant by what the user typed."""
        raise NotImplementedError

    def chunks(self) -> Iterator[list[Row]]:
        """Yields lists of 1 to CHUNK rows: those that have arrived, before it waits for more. Raises UserError."""
        raise NotImplementedError

    def close(self) -> None:
        """Frees what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure) -> None:
        self.close()
