"""Rows of `deephtm run` as text: CSV, or JSON lines."""

import csv
import io
import json
from collections import deque
from datetime import timedelta
from statistics import median

from deephtm_gpu.learner import Output

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood", "alarm", "network", "novelty")
CSV, JSON_LINES = "csv", "jsonl"
_DIGITS = {"anomaly_score": ".6f", "anomaly_likelihood": ".10f"}
_STEPS = 25  # steps between timestamps, whose median is taken for that between the next ones
# How timestamps are written: that of the last row is taken for those that are still to come.
_WAYS = tuple(f"{date}{time}" for date in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%m/%d/%y")
              for time in (" %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M", ""))


class Clock:
    """The timestamps of rows that are still to come."""

    def __init__(self):
        self._steps, self._last = deque(maxlen=_STEPS), None  # seconds; the last row

    def note(self, row):
        """Takes the next row."""
        if row.when is not None:
            if self._last is not None:
                self._steps.append((row.when - self._last.when).total_seconds())
            self._last = row

    def stamp(self, rows: int) -> str:
        """That of the row so many rows later, written as in the input; "" where it cannot be known."""
        if not self._steps:
            return ""
        when = self._last.when + timedelta(seconds=rows * median(self._steps))
        way = next((w for w in _WAYS if self._last.when.strftime(w) == self._last.stamp), None)
        return when.isoformat(sep=" ") if way is None else when.strftime(way)


class RowFormat:
    """columns: their names, in front of their rows where there are several. kind: CSV or JSON_LINES. score: an alarm is
    from this novelty on. ahead: rows."""

    def __init__(self, columns: list[str], kind: str, score: float, ahead: int):
        self._names = columns if len(columns) > 1 else [None] * len(columns)
        self._kind, self._score, self._ahead = kind, score, ahead
        self._clock = Clock()

    def header(self) -> str:
        if self._kind == JSON_LINES:
            return ""
        return _as_csv([("column", *HEADER) if self._names[0] is not None else HEADER])

    def skip(self, rows):
        """Takes rows that were written before."""
        for row in rows:
            self._clock.note(row[0])

    def rows(self, outputs: list[list[Output]]) -> str:
        """outputs: of each column. The rows in the order in which they came."""
        lines = []
        for row in zip(*outputs):
            self._clock.note(row[0].row)
            lines += [self._line(name, record(output, self._score), output.forecast)
                      for name, output in zip(self._names, row)]
        return self._text(lines)

    def to_come(self, waiting: list[list[tuple]]) -> str:
        """The rows behind the last: what is predicted for those that have not come. waiting: of each column (mixture's,
        network's) predictions, the oldest first."""
        lines = []
        for n, row in enumerate(zip(*waiting), 1):
            for name, (prediction, network) in zip(self._names, row):
                fields = dict.fromkeys(HEADER) | {"timestamp": self._clock.stamp(n), "prediction": prediction,
                                                  "network": network}
                lines.append(self._line(name, fields))
        return self._text(lines)

    def _line(self, name, fields, forecast=None):
        own = {} if name is None else {"column": name}
        if self._kind == JSON_LINES and forecast is not None:
            fields = fields | {"forecast": {"ahead": self._ahead, "timestamp": self._clock.stamp(self._ahead),
                                            "value": forecast}}
        return own | fields

    def _text(self, lines):
        if self._kind == JSON_LINES:
            return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        return _as_csv([[_as_text(name, x) for name, x in line.items()] for line in lines])


def record(output: Output, score: float) -> dict:
    """A row's fields, as in HEADER; None where there is nothing."""
    novelty = output.novelty
    return {
        "timestamp": output.row.stamp,
        "value": _Written(output.row.value, output.row.text) if output.row.text else None,  # none of a held one
        "prediction": output.prediction,
        "anomaly_score": output.anomaly,
        "anomaly_likelihood": output.likelihood,
        "alarm": None if novelty is None else int(novelty >= score),
        "network": output.network,
        "novelty": novelty,
    }


class _Written(float):
    """A number that is written as the input has it."""

    def __new__(cls, value, text):
        made = super().__new__(cls, value)
        made.text = text
        return made


def _as_text(name, x) -> str:
    if x is None:
        return ""
    if isinstance(x, _Written):
        return x.text
    return x if isinstance(x, str) else f"{x:{_DIGITS.get(name, '.15g')}}" if isinstance(x, float) else str(x)


def _as_csv(rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
