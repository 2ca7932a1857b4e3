"""One alarm score for a row, from its anomaly score, its prediction error and the deviation of its value.

A network reports what breaks its sequences. It follows a slow drift without reporting it, but the distance of the value
from the mean so far shows the drift. Each number becomes a probability by its rank, which assumes nothing about its
distribution, and the logarithms are added (Fisher's method, "Statistical methods for research workers", 1925; the rank
as a probability: conformal prediction, Vovk, Gammerman & Shafer 2005). `Rest` raises one alarm for a disturbance, not
one at every row of it.
"""

import math
from bisect import bisect_left, insort
from collections import deque

from deephtm_gpu.errors import UserError

REST = 150  # rows; on the anomaly benchmark 20 to 288 do as well


class Alarm:
    """The sum of the rarities of anomaly score, prediction error and deviation; 0 during the rest after an alarm.

    The score has no upper limit. On the anomaly benchmark, a threshold of 4.5 to 5 is a good choice. Memory: 6 * window
    numbers.

    Parameters
    ----------
    rest : int, default 150
        Rows of `Rest`.
    **rarity
        The arguments of `Rarity`.

    Raises
    ------
    UserError
        As `Rest` and `Rarity`.

    Examples
    --------
    >>> from deephtm_gpu.alarm import Alarm
    >>> alarm = Alarm(rest=0, window=100, learning=0, estimation=10)
    >>> for t in range(50):
    ...     usual = alarm.update(anomaly=0.1, error=1.0 + t % 3, deviation=0.5)
    >>> usual < 2 < alarm.update(anomaly=0.9, error=20.0, deviation=4.0)
    True
    """

    def __init__(self, rest: int = REST, **rarity):
        self._rarities = [Rarity(**rarity) for _ in range(3)]
        self._rest = Rest(rest)

    def update(self, anomaly: float, error: float | None, deviation: float) -> float:
        """Take the next row.

        Parameters
        ----------
        anomaly : float
            The anomaly score of the row.
        error : float or None
            |value - prediction|; None if there was no prediction.
        deviation : float
            |value - mean so far| in standard deviations so far, as from OnlineScaler.

        Returns
        -------
        float
            The score, 0 or more.

        Raises
        ------
        UserError
            If a number is not finite.
        """
        numbers = zip(self._rarities, (anomaly, error, deviation))
        return self._rest.update(sum(rarity.update(x) for rarity, x in numbers if x is not None))


class Rarity:
    """-log10 of the part of the last `window` numbers that are at least as large as the present one, itself included.

    It is 0 during the first `learning + estimation` numbers. Time per number: a shift in a sorted list of `window`.

    Parameters
    ----------
    window : int, default 8640
        How many numbers are kept.
    learning : int, default 288
        How many numbers at the start are ignored, as everything is unexpected then.
    estimation : int, default 100
        How many further numbers are kept before the first result.

    Raises
    ------
    UserError
        Unless 1 <= estimation <= window and learning >= 0.
    """

    def __init__(self, window: int = 8640, learning: int = 288, estimation: int = 100):
        if not 1 <= estimation <= window or learning < 0:
            raise UserError("Rarity must have 1 <= estimation <= window and learning >= 0, got "
                            f"Rarity(window={window}, learning={learning}, estimation={estimation}).")
        self._window, self._learning, self._estimation = window, learning, estimation
        self._sorted, self._order = [], deque()
        self._seen = 0

    def update(self, x: float) -> float:
        """Take the next number and return its rarity. Raises UserError if it is not finite."""
        x = float(x)
        if not math.isfinite(x):
            raise UserError(f"The numbers of Rarity must be finite, got {x}.")
        self._seen += 1
        if self._seen <= self._learning:
            return 0.0
        count = len(self._sorted)
        larger = count - bisect_left(self._sorted, x)
        if count == self._window:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        insort(self._sorted, x)
        self._order.append(x)
        return math.log10((count + 1) / (larger + 1)) if count >= self._estimation else 0.0


class Rest:
    """Passes a score if it is above all scores of the last `rows` rows, and gives 0 otherwise.

    So one disturbance raises one alarm, or a few that rise, at any threshold. rows = 0 passes everything.

    Parameters
    ----------
    rows : int, default 150
        0 or more.

    Raises
    ------
    UserError
        If rows is negative.
    """

    def __init__(self, rows: int = REST):
        if rows < 0:
            raise UserError(f"A rest must be 0 rows or more, got {rows}.")
        self._rows = rows
        self._row = 0
        self._highest = deque()  # (row, score), falling: each is the highest of the rows after the one before it

    def update(self, score: float) -> float:
        """Take the next score, 0 or more. Returns it, or 0."""
        if self._highest and self._highest[0][0] < self._row - self._rows:
            self._highest.popleft()
        passed = score if not self._highest or score > self._highest[0][1] else 0.0
        while self._highest and self._highest[-1][1] <= score:
            self._highest.pop()
        self._highest.append((self._row, score))
        self._row += 1
        return passed
