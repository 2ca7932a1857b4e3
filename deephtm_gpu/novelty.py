"""Novelty: an alarm for a stream of numbers, from the distance of each value to the nearest one seen before.

Without a network. The distance is that of a nearest neighbour, its rank among the distances before it the p-value of
conformal anomaly detection (Laxhammar & Falkman, "Conformal prediction for distribution-independent anomaly detection
in streaming vessel data", 2010): it assumes nothing about the distribution of the values. `Quiet` raises one alarm for
a disturbance, not one at every row of it.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

import numpy as np

from deephtm_gpu.arguments import check_count, check_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.saving.tree import array_in, count_in

ALARM = 1 / 11  # a score of at least this is an alarm: at most 10 of the distances known are as large
QUIET, QUIET_SHARE = 50, 0.03  # rows, and part of the rows so far: the longer of the two is the quiet time


class Novelty:
    """1 / (1 + m), where m of the last `distances` distances are at least as large as that of the present value.

    The distance of a value is that to the nearest of the last `values` values before it. The score is 0 if m is all of
    them, as in a constant stream, and during the first `estimation` distances. It then passes a quiet time: it is
    returned if it is above all scores of the last max(`quiet`, `quiet_share` * rows so far) rows, otherwise 0 is
    returned. A score of `deephtm_gpu.novelty.ALARM`, 1 / 11, or more is an alarm. The present value is compared with
    those before it alone.

    Memory: `values` + 3 * `distances` numbers at most. Time per value: a search in a sorted list, and a shift in it.

    Parameters
    ----------
    values : int, default 20000
        How many of the last values are kept.
    distances : int, default 4000
        How many of the last distances are kept.
    estimation : int, default 100
        How many distances must be known for a score above 0.
    quiet : int, default 50
        The shortest quiet time, in rows, 0 or more.
    quiet_share : float, default 0.03
        The quiet time as a part of the rows so far, 0 to 1: it grows with the stream, to 30,000 rows after a million.
        With `quiet` and `quiet_share` of 0 there is none.

    Raises
    ------
    UserError
        Unless values >= 1, 1 <= estimation <= distances, quiet >= 0 and 0 <= quiet_share <= 1.

    Examples
    --------
    >>> import math
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu.novelty import ALARM
    >>> novelty = dh.Novelty()
    >>> for t in range(1000):
    ...     usual = novelty.update(math.sin(t / 7))
    >>> usual < ALARM <= novelty.update(1.5)
    True
    """

    def __init__(self, *, values: int = 20_000, distances: int = 4_000, estimation: int = 100, quiet: int = QUIET,
                 quiet_share: float = QUIET_SHARE) -> None:
        self._values = _Sorted(check_count("The values of Novelty", values))
        self._distances = _Sorted(check_count("The distances of Novelty", distances))
        self._estimation = check_count("The estimation of Novelty", estimation)
        if self._estimation > self._distances.size:
            raise UserError(f"Novelty must have estimation <= distances, got Novelty(estimation={estimation}, "
                            f"distances={distances}); keep more distances.")
        self._quiet = Quiet(quiet, quiet_share)

    def update(self, x: float) -> float:
        """Take the next value.

        Parameters
        ----------
        x : float
            A finite number. What stands for a missing value is for the caller to decide.

        Returns
        -------
        float
            The score, 0 to 1.

        Raises
        ------
        UserError
            If x is not finite. The state is then as before.
        """
        x = float(x)
        if not math.isfinite(x):
            raise UserError(f"The values of Novelty must be finite numbers, got {x}; leave it out, or repeat the last "
                            "value.")
        score = self._score(x)
        self._values.add(x)
        return self._quiet.update(score)

    def batch(self, xs: Iterable[float]) -> np.ndarray:
        """`update` for each value in turn.

        Parameters
        ----------
        xs : array (T,)
            Finite numbers.

        Returns
        -------
        ndarray (T,) float64
            The scores.
        """
        return np.array([self.update(x) for x in xs], np.float64)

    def state(self) -> dict:
        """The state, for `restore` of an object with the same settings.

        Returns
        -------
        dict
            Numbers and arrays: the values and distances kept, in the order in which they came, and the quiet time.
        """
        return {"values": self._values.in_order(), "distances": self._distances.in_order(), **self._quiet.state()}

    def restore(self, state: dict) -> None:
        """Take over a state of `state()`.

        Parameters
        ----------
        state : dict
            Of an object with the same settings.

        Raises
        ------
        UserError
            If it is of other settings.
        ValueError
            If it is no such state.
        """
        values, distances = array_in(state, "values", (None,)), array_in(state, "distances", (None,))
        quiet = self._quiet.read(state)
        rows = quiet[0]
        for name, kept, array, count in (("values", self._values, values, rows),
                                         ("distances", self._distances, distances, max(0, rows - 1))):
            if len(array) != min(kept.size, count):
                raise UserError(f"The state must hold the last {kept.size} {name} of {count}, got {len(array)}; make "
                                f"the Novelty with the same {name}.")
        if not np.isfinite(values).all() or not (distances >= 0).all():
            raise ValueError("values and distances must be numbers, and finite, and 0 or more")
        self._values.fill(values)
        self._distances.fill(distances)
        self._quiet.take(quiet)

    def _score(self, x):
        """The score without the quiet time. Keeps the distance of x."""
        if not self._values:
            return 0.0
        distance = self._values.nearest(x)
        known, larger = len(self._distances), self._distances.at_least(distance)
        self._distances.add(distance)
        return 1 / (1 + larger) if known >= self._estimation and larger < known else 0.0


class Quiet:
    """Passes a score if it is above all scores of the last max(rows, share * rows so far) rows, and gives 0 otherwise.

    So one disturbance raises one alarm, or a few that rise, at any threshold. With rows and share of 0 everything
    passes.

    Parameters
    ----------
    rows : int, default 50
        0 or more.
    share : float, default 0.03
        0 to 1.

    Raises
    ------
    UserError
        If a number is out of its range.
    """

    def __init__(self, rows: int = QUIET, share: float = QUIET_SHARE):
        self._shortest = check_count("The quiet time", rows, minimum=0)
        self._share = check_number("The quiet time's part of the rows so far", share, 0, 1)
        self._rows = 0
        self._highest = deque()  # (row, score), falling: each is the highest of the rows after the one before it

    def update(self, score: float) -> float:
        """Take the next score, 0 or more. Returns it, or 0."""
        first = self._rows - max(self._shortest, int(self._share * (self._rows + 1)))
        while self._highest and self._highest[0][0] < first:
            self._highest.popleft()
        passed = score if not self._highest or score > self._highest[0][1] else 0.0
        while self._highest and self._highest[-1][1] <= score:
            self._highest.pop()
        self._highest.append((self._rows, score))
        self._rows += 1
        return passed

    def state(self) -> dict:
        """The state, for `read`: the rows so far, and the rows and scores that later ones are compared with."""
        return {"rows": self._rows, "highest_rows": np.array([row for row, _ in self._highest], np.int64),
                "highest_scores": np.array([score for _, score in self._highest], np.float64)}

    def read(self, state: dict) -> tuple:
        """What `take` takes. Raises ValueError if the state is none."""
        count = count_in(state, "rows")
        scores = array_in(state, "highest_scores", (None,))
        rows = array_in(state, "highest_rows", (len(scores),), np.int64)
        falls = (scores[1:] < scores[:-1]).all() and (scores >= 0).all()
        rises = (rows[1:] > rows[:-1]).all() and (rows >= 0).all()
        if not falls or not rises or rows[-1:].tolist() != [count - 1][:count]:
            raise ValueError("highest_rows must rise to the last row, and highest_scores fall")
        return count, list(zip(rows.tolist(), scores.tolist()))

    def take(self, read: tuple) -> None:
        """Continue from what `read` returned."""
        self._rows, self._highest = read[0], deque(read[1])


class _Sorted:
    """The last `size` numbers, sorted."""

    def __init__(self, size):
        self.size = size
        self.fill(np.zeros(0))

    def __len__(self):
        return len(self._sorted)

    def add(self, x):
        if len(self._sorted) == self.size:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        insort(self._sorted, x)
        self._order.append(x)

    def nearest(self, x):
        """The distance from x to the nearest number. There is one."""
        at = bisect_left(self._sorted, x)
        return min(abs(x - number) for number in self._sorted[max(0, at - 1):at + 1])

    def at_least(self, x):
        """How many are x or more."""
        return len(self._sorted) - bisect_left(self._sorted, x)

    def in_order(self):
        """The numbers in the order in which they came, (count,)."""
        return np.array(self._order, np.float64)

    def fill(self, numbers):
        """numbers: (count,), in the order in which they came."""
        self._order = deque(numbers.tolist())
        self._sorted = sorted(self._order)
