"""The same slot of an earlier day or week."""

from datetime import datetime
from itertools import pairwise

import numpy as np

from deephtm_gpu.forecast.experts import Expert
from deephtm_gpu.saving.tree import array_in, count_in

DAY, WEEK = 86_400, 7 * 86_400  # seconds
PERIOD_ROWS = 17  # rows at the start, which give the time between rows, as in data/baselines.py
NEVER = np.iinfo(np.int64).min
EPOCH = datetime(1970, 1, 1)


class SameSlot(Expert):
    """Forecasts the value of one day or one week before the row to be forecast, by the clock, so rows may be missing.

    The time between rows is the median of the first differences, in whole seconds; the row to be forecast is taken to
    come `ahead` times that later. There is no forecast without timestamps, if the time between rows does not divide the
    cycle, or if the cycle has fewer than `ahead` rows. Memory: one cycle of rows.

    Parameters
    ----------
    ahead : int
        How many rows to look ahead.
    cycle : int
        Seconds, DAY or WEEK.

    Examples
    --------
    >>> from datetime import datetime, timedelta
    >>> from deephtm_gpu.forecast.slots import DAY, SameSlot
    >>> expert = SameSlot(ahead=2, cycle=DAY)
    >>> for hour in range(48):
    ...     expert.update(float(hour), datetime(2024, 1, 1) + timedelta(hours=hour))
    >>> expert.predict()  # of hour 49
    25.0
    """

    def __init__(self, ahead: int, cycle: int):
        self._ahead, self._cycle = ahead, cycle
        self._first = []  # (when, value), until the time between rows is known
        self._period = None  # seconds; 0: no slots
        self._number = 0  # of the slot of the last row, since 1970

    def update(self, value, when=None):
        if self._period is None and when is not None:
            self._first.append((when, value))
            if len(self._first) == PERIOD_ROWS:
                self._find_period()
        elif self._period:
            self._put(value, when)

    def predict(self):
        if not self._period:
            return None
        number, slots = self._number + self._ahead, len(self._values)
        slot = number % slots
        return float(self._values[slot]) if self._numbers[slot] == number - slots else None

    def state(self):
        state = {"period": self._period, "number": self._number,
                 "first": [[when.isoformat(), value] for when, value in self._first]}
        return state | ({"values": self._values.copy(), "numbers": self._numbers.copy()} if self._period else {})

    def restore(self, state):
        self._period = None if state["period"] is None else count_in(state, "period", self._cycle)
        number = state["number"]
        if type(number) is not int or abs(number) > 2**53:
            raise ValueError(f"number must be a whole number, got {number!r:.60}")
        self._number = number
        self._first = [(datetime.fromisoformat(when).replace(tzinfo=None), None if value is None else float(value))
                       for when, value in state["first"]]
        if len(self._first) >= PERIOD_ROWS:
            raise ValueError(f"first must hold fewer than {PERIOD_ROWS} rows, got {len(self._first)}")
        if self._period:
            slots = (self._cycle // self._period,)
            self._values = array_in(state, "values", slots).copy()
            self._numbers = array_in(state, "numbers", slots, np.int64).copy()

    def _find_period(self):
        between = sorted((b - a).total_seconds() for (a, _), (b, _) in pairwise(self._first))
        period = round(between[len(between) // 2])
        slots = self._cycle // period if period > 0 and self._cycle % period == 0 else 0
        first, self._first = self._first, []
        self._period = period if slots >= self._ahead else 0
        if self._period:
            self._values = np.zeros(slots)  # (slots,)
            self._numbers = np.full(slots, NEVER)  # (slots,) int64, the number of the slot that each value is of
            for when, value in first:
                self._put(value, when)

    def _put(self, value, when):
        if when is None:
            self._number += 1
        else:
            self._number = round((when - EPOCH).total_seconds() / self._period)
        if value is not None:
            slot = self._number % len(self._values)
            self._values[slot], self._numbers[slot] = value, self._number
