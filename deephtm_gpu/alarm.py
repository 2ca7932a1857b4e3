"""One alarm out of what a learner knows of a row: how unexpected it was, how wrong the prediction, how far the value.

A network sees what breaks its sequences; a drift that it follows, it does not see, but the distance from the values so far
does. Each is turned into a probability by its rank, which needs no assumption about its distribution, and the logarithms
are added (Fisher's method, "Statistical methods for research workers", 1925; the rank as a probability: conformal
prediction, Vovk, Gammerman & Shafer 2005). For raising an alarm once, not at every row of a disturbance: see `Rest`.
"""

import math
from bisect import bisect_left, insort
from collections import deque

from deephtm_gpu.errors import UserError

REST = 150  # rows; on the anomaly benchmark 20 to 288 do as well


class Alarm:
    """score = the sum of the rarities of anomaly score, prediction error and deviation; 0 while resting.

    A score has no upper end; on the anomaly benchmark an alarm is worth raising from about 4.5 to 5 on. The arguments are
    those of Rest and of Rarity. Memory: 6 * window numbers.
    """

    def __init__(self, rest=REST, **rarity):
        self._rarities = [Rarity(**rarity) for _ in range(3)]
        self._rest = Rest(rest)

    def update(self, anomaly, error, deviation):
        """anomaly: the anomaly score of the row. error: |value - prediction|, None where there was no prediction. deviation:
        |value - mean so far| in deviations so far, as OnlineScaler gives it. Returns the score. Raises UserError."""
        told = zip(self._rarities, (anomaly, error, deviation))
        return self._rest.update(sum(rarity.update(x) for rarity, x in told if x is not None))


class Rarity:
    """-log10 of the part of the last `window` numbers that are as large as this one, itself counted too.

    learning: so many numbers at the start are left out, as everything is unexpected then; estimation: so many more are
    gathered before the first figure. Until then it is 0. Time per number: a shift in a sorted list of `window`.
    """

    def __init__(self, window=8640, learning=288, estimation=100):
        if not 1 <= estimation <= window or learning < 0:
            raise UserError(f"Rarity(window={window}, learning={learning}, estimation={estimation}) was asked for; it needs "
                            "1 <= estimation <= window and learning >= 0.")
        self._window, self._learning, self._estimation = window, learning, estimation
        self._sorted, self._order = [], deque()
        self._seen = 0

    def update(self, x):
        """The rarity of x among those before. Raises UserError where it is not a finite number."""
        x = float(x)
        if not math.isfinite(x):
            raise UserError(f"Rarity was given {x}; give finite numbers.")
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
    """Lets a score through where it is above those of all `rows` rows before, and gives 0 where it is not.

    So one disturbance gives one alarm, or few that rise, whatever the threshold; rows = 0 lets everything through.
    """

    def __init__(self, rows=REST):
        if rows < 0:
            raise UserError(f"A rest of {rows} rows was asked for; give 0 or more.")
        self._rows = rows
        self._row = 0
        self._highest = deque()  # (row, score), falling: each the highest of what came after the one before

    def update(self, score):
        """score: 0 or more. Returns it, or 0."""
        if self._highest and self._highest[0][0] < self._row - self._rows:
            self._highest.popleft()
        told = score if not self._highest or score > self._highest[0][1] else 0.0
        while self._highest and self._highest[-1][1] <= score:
            self._highest.pop()
        self._highest.append((self._row, score))
        self._row += 1
        return told
