"""How far a run has come, saved with its model: `--save-every`, and `--resume` after it was killed.

A save is one file: the model, how many rows of the input it has learned, a digest of these, and how long the output
was. The output is on the disk before the save is. So, whenever a run is killed, there is a save that fits the beginning
of the output and of the input; the run that resumes it cuts the output there and skips so many rows.
"""

import hashlib
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deephtm_gpu.cli.row_file import RowFile
from deephtm_gpu.errors import UserError


@dataclass(frozen=True)
class Stand:
    """What a save knows of its run.

    rows: of the input, gaps too. digest: of these rows. out: the file of rows, links followed; "" for none that can
    be continued. length: how many bytes of it are written.
    """

    rows: int
    digest: str
    out: str
    length: int

    @classmethod
    def of(cls, state) -> "Stand | None":
        """That of a file's state; None where there is none. Raises UserError where it is none of ours."""
        if state is None:
            return None
        rows, digest, out, length = (state[name] for name in ("rows", "digest", "out", "length"))
        if not (_is_count(rows) and _is_count(length) and isinstance(digest, str) and isinstance(out, str)):
            raise UserError("the position in the input is not two counts and two texts")
        return cls(rows, digest, out, length)


class Journal:
    """Follows a run. every: seconds from save to save; None: no saves on the way. out: path of --out, or None. stand:
    of the run that is resumed on the same input; its rows are skipped."""

    def __init__(self, every: float | None, out: str | None, stand: Stand | None = None):
        self._every, self._out = every, str(Path(out).resolve()) if out else ""
        self._rows, self._digest = 0, hashlib.sha256()
        self._skip = stand.rows if stand is not None else 0
        self._kept = every is not None or stand is not None
        self._saved = time.monotonic()

    def remaining(self, tables, skip):
        """The tables of the input without the rows that have been learned before; skip(rows) gets these."""
        for table in tables:
            skipped = min(len(table), self._skip)
            self._skip -= skipped
            self._note(table[:skipped])
            skip(table[:skipped])
            if skipped < len(table):
                yield table[skipped:]

    def learned(self, table):
        """These rows have been learned, and written."""
        self._note(table)

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self._every is not None and time.monotonic() - self._saved >= self._every

    def stand(self, rows: RowFile) -> Stand | None:
        """For the save that follows; None where nobody asked for saves on the way."""
        self._saved = time.monotonic()
        return Stand(self._rows, self._digest.hexdigest(), self._out, rows.length) if self._kept else None

    def _note(self, table):
        self._rows += len(table)
        for row in table:
            self._digest.update(_text(row))


def begins_with(stand: Stand, source) -> bool:
    """Whether the rows of a source begin with those that were learned. Reads so many of them."""
    digest, rows = hashlib.sha256(), 0
    for row in islice((row for table in source.tables() for row in table), stand.rows):
        digest.update(_text(row))
        rows += 1
    return rows == stand.rows and digest.hexdigest() == stand.digest


def _text(row) -> bytes:
    return "\0".join(part for cell in row for part in (cell.stamp, cell.text, "")).encode("utf-8", "surrogateescape")


def _is_count(number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
