"""Scores anomaly detectors by the rules of the Numenta Anomaly Benchmark, standard profile.

The rules are those of Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly
Benchmark", ICMLA 2015 (arXiv 1510.03336), and those of the benchmark's program where the two differ: see `worth`. Each
anomaly has a window of rows. An early detection in a window counts more than a late one; a false alarm costs more the
further it is from a window; and a detector has one threshold for all files, the best one.
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from deephtm_gpu.errors import UserError

# The part of a file's rows at its start that does not count, and its largest size.
PROBATION, PROBATION_ROWS = 0.15, 750
FALSE_ALARM = 0.11  # the largest cost of one; a missed window costs 1
FAR = 3.0  # widths of the window before it, from which on a false alarm has the largest cost


@dataclass(frozen=True)
class Labels:
    """The anomalies of a file.

    Attributes
    ----------
    rows : int
        Rows of the file.
    windows : list of (int, int)
        The first and the last row of each anomaly's window, ascending.
    """

    rows: int
    windows: list[tuple[int, int]]

    @property
    def probation(self):
        """How many rows at the start do not count."""
        return int(min(PROBATION * self.rows, PROBATION_ROWS))


@dataclass(frozen=True)
class NabScore:
    """The result of a detector.

    Attributes
    ----------
    threshold : float
        A score of at least this is a detection; infinite if there are no detections.
    total : float
        The score over all files: 100 for a perfect detector, 0 for one that never detects. It has no lower limit.
    by_file : list of float
        The score of each file, at the common threshold.
    found, windows : int
        How many windows were detected, and how many there are in all files.
    false_alarms : int
        Rows.
    """

    threshold: float
    total: float
    by_file: list[float]
    found: int
    windows: int
    false_alarms: int


def read_windows(path) -> dict[str, list[tuple[datetime, datetime]]]:
    """Read the windows of all files.

    Parameters
    ----------
    path : str or Path
        A JSON file: {file name: [[first timestamp, last timestamp], ...]}.

    Returns
    -------
    dict
        File name -> the first and the last timestamp of each window.

    Raises
    ------
    UserError
        If the file cannot be read, or has another format.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        return {name: [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in windows]
                for name, windows in content.items()}
    except OSError as error:
        raise UserError(f"{path}, the file of the anomalies' windows, cannot be read ({error.strerror}); check "
                        "its path.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} must be a JSON file {{file name: [[first timestamp, last timestamp], ...]}}, got "
                        f"another format ({error}); correct it.") from None


def labels(times: list[datetime], windows: list[tuple[datetime, datetime]]) -> Labels:
    """Labels from timestamps.

    Parameters
    ----------
    times : list of datetime
        Of each row, ascending.
    windows : list of (datetime, datetime)
        The first and the last timestamp of each window, inclusive.

    Returns
    -------
    Labels
        The windows as rows.

    Raises
    ------
    UserError
        If there is no row in a window.
    """
    rows = []
    for first, last in sorted(windows):
        inside = [t for t, time in enumerate(times) if first <= time <= last]
        if not inside:
            raise UserError(f"A window must contain a row, got one from {first} to {last} without any; give the "
                            "windows of this file.")
        rows.append((inside[0], inside[-1]))
    return Labels(len(times), rows)


def nab_score(scores: list, where: list[Labels], threshold: float | None = None) -> NabScore:
    """Score a detector.

    Parameters
    ----------
    scores : list of array (rows,)
        The detector's score of each row, for each file. Higher means that an anomaly is likelier.
    where : list of Labels
        The anomalies of each file.
    threshold : float, optional
        None for the best threshold for all files together.

    Returns
    -------
    NabScore
        The result.

    Raises
    ------
    UserError
        If scores and labels do not match, a score is NaN, or a file has no window.

    Examples
    --------
    >>> import numpy as np
    >>> from deephtm_gpu.data.nab import Labels, nab_score
    >>> scores = np.zeros(1000)
    >>> scores[500] = 1.0
    >>> nab_score([scores], [Labels(1000, [(500, 520)])]).total
    100.0
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


def held_out(scores: list, where: list[Labels]) -> float:
    """The total if each file has the threshold that is best for all other files: an estimate for a new file.

    Parameters
    ----------
    scores, where
        As in `nab_score`, of two files or more.

    Returns
    -------
    float
        The total, on the scale of `NabScore.total`.

    Raises
    ------
    UserError
        As `nab_score`, and with fewer than two files.
    """
    if len(scores) < 2:
        raise UserError(f"A threshold from the other files must have two files or more, got {len(scores)}; give "
                        "more files.")
    weighted = 0.0
    for i, at in enumerate(where):
        others = [j for j in range(len(where)) if j != i]
        threshold = nab_score([scores[j] for j in others], [where[j] for j in others]).threshold
        weighted += nab_score([scores[i]], [at], threshold).total * len(at.windows)
    return weighted / sum(len(at.windows) for at in where)


def worth(where: Labels) -> tuple[np.ndarray, np.ndarray]:
    """The value of a detection at each row: positive in a window, at most 1; negative outside.

    It is 2 / (1 + e^5y) - 1 with y the position in the window: -1 at its first row, nearly 0 at its last. It is divided
    by its value at -1, so that the value of the first row is 1. After a window, y continues in widths of that window;
    from FAR on, and before the first window, it counts as infinite. Outside of windows the value is multiplied by
    FALSE_ALARM. (This is the paper's formula; the division, FAR, and y by rows are from the benchmark's own program.)

    Parameters
    ----------
    where : Labels
        The anomalies.

    Returns
    -------
    values : ndarray (rows,) float64
        The value of a detection at each row.
    window : ndarray (rows,) int
        The number of the window that contains each row; -1 for none.
    """
    values = np.full(where.rows, -FALSE_ALARM)
    window = np.full(where.rows, -1)
    for i, (first, last) in enumerate(where.windows):
        rows_after = np.arange(1, where.rows - last)
        y = rows_after / max(1, last - first)
        values[last + 1:] = FALSE_ALARM * np.where(y > FAR, -1.0, _sigmoid(np.minimum(y, FAR)))
        width = last - first + 1
        values[first:last + 1] = _sigmoid(np.arange(-width, 0) / width) / _sigmoid(-1)
        window[first:last + 1] = i
    values[:where.probation] = 0.0
    window[:where.probation] = -1
    return values, window


def _detected(detections, where):
    """The value of the earliest detection in each window, -1 for none; the cost of the false alarms; their number."""
    values, window = worth(where)
    best = [-1.0] * len(where.windows)
    for i in range(len(best)):
        inside = np.flatnonzero(detections & (window == i))
        if len(inside):
            best[i] = float(values[inside[0]])
    false = detections & (values < 0)
    return best, -float(values[false].sum()), int(false.sum())


def _best_threshold(scores, where):
    """The threshold with the largest sum; of equal sums the highest threshold; infinite if no detection is worthwhile.

    The threshold falls through all scores. Each row that becomes a detection changes the sum by its cost, or by the
    gain from detecting its window earlier.
    """
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
    """0 for a raw sum of -windows, which misses all; 100 for +windows, which is perfect."""
    return 100 * (raw + windows) / (2 * windows)


def _sigmoid(y):
    return 2 / (1 + np.exp(5 * y)) - 1


def _check(scores, where):
    if not scores or len(scores) != len(where):
        raise UserError(f"Scores and labels must be of the same files, got {len(scores)} and {len(where)}; give both "
                        "for each file.")
    for file, at in zip(scores, where):
        if file.shape != (at.rows,):
            raise UserError(f"The scores of a file must have shape ({at.rows},), one for each row, got shape "
                            f"{file.shape}.")
        if np.isnan(file).any():
            raise UserError(f"Scores must be numbers, got NaN at row {int(np.isnan(file).argmax())}; give 0 where "
                            "there is no score.")
        if not at.windows:
            raise UserError("Labels must have a window or more, got none; leave out a file without anomalies.")
