"""Scores detectors of anomalies in streams by the rules of the Numenta Anomaly Benchmark, standard profile.

The rules are those of Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark",
ICMLA 2015 (arXiv 1510.03336), and of the benchmark as it is run, where the two differ: see `worth`. A detection early in a
window of an anomaly counts more than a late one, a false alarm costs more the further from a window it is, and the threshold
of a detector is one for all files, the best that there is.
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from deephtm_gpu.errors import UserError

PROBATION, PROBATION_ROWS = 0.15, 750  # of a file's rows at its start, and no more of them than this: there nothing counts
FALSE_ALARM = 0.11  # the most that one costs; a missed window costs 1
FAR = 3.0  # widths of the window before, from which on a false alarm costs the most


@dataclass(frozen=True)
class Labels:
    """Where a file of so many rows has its anomalies: windows, each as its first and last row, ascending."""

    rows: int
    windows: list[tuple[int, int]]

    @property
    def probation(self):
        """How many rows at the start don't count."""
        return int(min(PROBATION * self.rows, PROBATION_ROWS))


@dataclass(frozen=True)
class NabScore:
    """What a detector reached. threshold: a score of at least this is a detection (inf: none is one). total: of all files,
    100 for a perfect detector, 0 for one that never detects; it has no lower end. by_file: the same for each file by itself,
    at the common threshold. found: of how many `windows`, all files together; false_alarms: rows."""

    threshold: float
    total: float
    by_file: list[float]
    found: int
    windows: int
    false_alarms: int


def read_windows(path):
    """A JSON file that gives for each CSV file's name the first and last timestamp of each window. Returns
    {name: [(datetime, datetime), ...]}. Raises UserError."""
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        return {name: [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in windows]
                for name, windows in told.items()}
    except OSError as error:
        raise UserError(f"{path} was to be read for the windows of the anomalies, but {error.strerror}; check its path.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no JSON file of windows ({error}); it needs {{file name: [[first timestamp, last], ...]}}.") from None


def labels(times, windows):
    """Labels out of timestamps. times: of each row, ascending. windows: pairs of timestamps, both within. Raises UserError."""
    rows = []
    for first, last in sorted(windows):
        inside = [t for t, time in enumerate(times) if first <= time <= last]
        if not inside:
            raise UserError(f"A window from {first} to {last} was given, and no row lies in it; give the windows of this file.")
        rows.append((inside[0], inside[-1]))
    return Labels(len(times), rows)


def nab_score(scores, where, threshold=None):
    """scores: for each file an array (rows,), higher where an anomaly is likelier; where: for each its `Labels`.

    threshold: None for the best one there is, of all files together. Returns a NabScore. Raises UserError.
    """
    scores = [np.asarray(s, np.float64) for s in scores]
    _check(scores, where)
    if threshold is None:
        threshold = _best_threshold(scores, where)
    raw, found, false_alarms = [], 0, 0
    for file, at in zip(scores, where):
        best, cost, alarms = _detected(file >= threshold, at)
        raw.append(sum(best) - cost)
        found += sum(b > -1 for b in best)
        false_alarms += alarms
    counts = [len(at.windows) for at in where]
    return NabScore(threshold, _normalised(sum(raw), sum(counts)), [_normalised(r, c) for r, c in zip(raw, counts)],
                    found, sum(counts), false_alarms)


def held_out(scores, where):
    """The total where each file has the threshold that is best for all others: what may be hoped for on a further file.
    Takes what `nab_score` takes, of two files or more. Raises UserError."""
    if len(scores) < 2:
        raise UserError("A threshold from other files was asked for, and there are none; give two files or more.")
    kept = 0.0
    for i, at in enumerate(where):
        others = [j for j in range(len(where)) if j != i]
        threshold = nab_score([scores[j] for j in others], [where[j] for j in others]).threshold
        kept += nab_score([scores[i]], [at], threshold).total * len(at.windows)
    return kept / sum(len(at.windows) for at in where)


def worth(where):
    """What a detection at each row is worth: at most 1, inside a window; negative outside. Returns (rows,) float64, and the
    window each row lies in (rows,) int, -1 for none.

    2 / (1 + e^5y) - 1, y the place in the window: -1 at its first row, nearly 0 at its last. This is divided by its value at
    -1, so that the first row is worth 1. Behind a window, y goes on in widths of that window; from FAR on, and before the
    first window, it counts as infinite. There it is multiplied by FALSE_ALARM. (The paper's formula, to which the benchmark's
    own program adds the division, FAR, and a y by rows.)
    """
    values = np.full(where.rows, -FALSE_ALARM)
    window = np.full(where.rows, -1)
    for i, (first, last) in enumerate(where.windows):
        behind = np.arange(1, where.rows - last)
        y = behind / max(1, last - first)
        values[last + 1:] = FALSE_ALARM * np.where(y > FAR, -1.0, _sigmoid(np.minimum(y, FAR)))
        width = last - first + 1
        values[first:last + 1] = _sigmoid(np.arange(-width, 0) / width) / _sigmoid(-1)
        window[first:last + 1] = i
    values[:where.probation] = 0.0
    window[:where.probation] = -1
    return values, window


def _detected(detections, where):
    """Of each window the worth of its earliest detection, -1 where there is none; the cost of the false alarms; their number."""
    values, window = worth(where)
    best = [-1.0] * len(where.windows)
    for i in range(len(best)):
        inside = np.flatnonzero(detections & (window == i))
        if len(inside):
            best[i] = float(values[inside[0]])
    false = detections & (values < 0)
    return best, -float(values[false].sum()), int(false.sum())


def _best_threshold(scores, where):
    """Goes down through all scores; each row that becomes a detection changes the sum by its cost, or by as much as it is
    earlier in its window. Of equals the highest; inf where no detection is worth it."""
    falling, changes = [], []
    for file, at in zip(scores, where):
        order = np.argsort(-file, kind="stable")
        values, window = (a[order] for a in worth(at))
        change = values.copy()
        for i in range(len(at.windows)):
            inside = np.flatnonzero(window == i)
            best = np.maximum.accumulate(np.concatenate([[-1.0], values[inside]]))
            change[inside] = np.diff(best)
        falling.append(file[order])
        changes.append(change)
    falling, changes = np.concatenate(falling), np.concatenate(changes)
    order = np.argsort(-falling, kind="stable")
    falling, sums = falling[order], np.cumsum(changes[order])
    whole = np.append(falling[1:] != falling[:-1], True)  # equal scores become detections together
    best = int(np.argmax(np.where(whole, sums, -np.inf)))
    return float(falling[best]) if sums[best] > 0 else math.inf


def _normalised(raw, windows):
    """null, which misses all: -windows; perfect: +windows."""
    return 100 * (raw + windows) / (2 * windows)


def _sigmoid(y):
    return 2 / (1 + np.exp(5 * y)) - 1


def _check(scores, where):
    if not scores or len(scores) != len(where):
        raise UserError(f"Scores of {len(scores)} files were given and labels of {len(where)}; give both for the same files.")
    for file, at in zip(scores, where):
        if file.shape != (at.rows,):
            raise UserError(f"Scores of shape {file.shape} were given for a file of {at.rows} rows; give one for each row.")
        if np.isnan(file).any():
            raise UserError(f"The score of row {int(np.isnan(file).argmax())} is not a number; give 0 where there is none.")
        if not at.windows:
            raise UserError("Labels without a window were given; a file without anomalies has no score by itself: leave it out.")
