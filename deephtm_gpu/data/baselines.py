"""Trivial forecasts, and the error that compares them with the mixture and the network. A useful model must beat
them."""

from collections import deque
from datetime import datetime
from itertools import pairwise

import numpy as np

from deephtm_gpu.saving.tree import array_in, count_in, number_in

WEEK = 7 * 86400  # seconds
PERIOD_ROWS = 17  # rows at the start, which give the time between rows


class Mape:
    """sum |error| / sum |value| over the rows that had a forecast. rows: their number."""

    def __init__(self):
        self.rows = 0
        self._errors = 0.0
        self._values = 0.0

    def update(self, value, forecast):
        """forecast: None if there was none."""
        if forecast is None:
            return
        self.rows += 1
        self._errors += abs(value - forecast)
        self._values += abs(value)

    def state(self):
        return {"rows": self.rows, "errors": self._errors, "values": self._values}

    def restore(self, state):
        self.rows = count_in(state, "rows")
        self._errors, self._values = number_in(state, "errors"), number_in(state, "values")

    @property
    def percent(self):
        """None if no row had a forecast, or all values are 0."""
        return 100 * self._errors / self._values if self._values else None


class Persistence:
    """Forecasts the value of `ahead` rows before."""

    def __init__(self, ahead):
        self._last = deque(maxlen=ahead)

    def update(self, value, when):
        """Takes the next row. Returns the forecast that was made for it, or None."""
        forecast = self._last[0] if len(self._last) == self._last.maxlen else None
        self._last.append(value)
        return forecast

    def reset(self):
        self._last.clear()

    def state(self):
        return {"last": np.array(self._last, np.float64)}  # the oldest first

    def restore(self, state):
        self._last = deque(array_in(state, "last", (None,)).tolist(), self._last.maxlen)


class SameSlotLastWeek:
    """Forecasts the value of one week before, by the clock, so rows may be missing.

    The time between rows is the median of the first differences, in whole seconds. There is no forecast if it does not
    divide a week, or if the slot of last week is less than `ahead` rows back. Memory: one week of rows.
    """

    def __init__(self, ahead):
        self._ahead = ahead
        self._first = []  # (when, value), until the time between rows is known
        self._period = None  # seconds; 0: no slots

    def update(self, value, when):
        """Takes the next row. Returns the forecast that was made for it, or None. when: a datetime without time
        zone."""
        if self._period is None:
            self._first.append((when, value))
            if len(self._first) == PERIOD_ROWS:
                self._find_period()
            return None
        return self._put(value, when) if self._period else None

    def state(self):
        state = {"period": self._period, "first": [[when.isoformat(), value] for when, value in self._first]}
        return state | ({"values": self._values.copy(), "numbers": self._numbers.copy()} if self._period else {})

    def restore(self, state):
        self._period = None if state["period"] is None else count_in(state, "period", WEEK)
        self._first = [(datetime.fromisoformat(when).replace(tzinfo=None), float(value))
                       for when, value in state["first"]]
        if len(self._first) >= PERIOD_ROWS:
            raise ValueError(f"first must hold fewer than {PERIOD_ROWS} rows, got {len(self._first)}")
        if self._period:
            slots = (WEEK // self._period,)
            self._values = array_in(state, "values", slots).copy()
            self._numbers = array_in(state, "numbers", slots, np.int64).copy()

    def _find_period(self):
        times = [when for when, _ in self._first]
        between = sorted((b - a).total_seconds() for a, b in pairwise(times))
        period = round(between[len(between) // 2])
        slots = WEEK // period if period > 0 and WEEK % period == 0 else 0
        if slots < self._ahead:
            self._period = 0
            return
        self._period = period
        self._values = np.zeros(slots)  # (slots,)
        # (slots,), the number of the slot since 1970 that each value is of.
        self._numbers = np.full(slots, np.iinfo(np.int64).min)
        for when, value in self._first:
            self._put(value, when)
        self._first = []

    def _put(self, value, when):
        number = round((when - datetime(1970, 1, 1)).total_seconds() / self._period)
        slots = len(self._values)
        slot = number % slots
        forecast = float(self._values[slot]) if self._numbers[slot] == number - slots else None
        self._values[slot], self._numbers[slot] = value, number
        return forecast


class Comparison:
    """The error of the mixture's forecasts, of the network's and of the trivial ones, over the whole series and over
    its later part.

    later: the row, counted from 0, at which the later part begins. timed: whether rows have timestamps.
    """

    def __init__(self, ahead, timed, later):
        self.ahead, self.later = ahead, later
        self.rows = 0
        self._trivial = {"persistence": Persistence(ahead)}
        if timed:
            self._trivial["same slot last week"] = SameSlotLastWeek(ahead)
        self.whole = {name: Mape() for name in ("mixture", "network", *self._trivial)}
        self.late = {name: Mape() for name in self.whole}

    def update(self, value, when, mixture, network):
        """Takes the next row. mixture, network: what they predicted for it, or None."""
        forecasts = {"mixture": mixture, "network": network}
        forecasts |= {name: t.update(value, when) for name, t in self._trivial.items()}
        for name, forecast in forecasts.items():
            self.whole[name].update(value, forecast)
            if self.rows >= self.later:
                self.late[name].update(value, forecast)
        self.rows += 1

    def skip(self, value):
        """A row without a number; nothing is scored. value: what is taken for it, the last that came."""
        self._trivial["persistence"].update(value, None)

    def reset(self):
        """A new sequence begins: the value before it forecasts nothing."""
        self._trivial["persistence"].reset()

    def state(self):
        """The state, for `restore` of an object made with the same arguments."""
        parts = self._parts().items()
        return {"rows": self.rows} | {part: {n: each.state() for n, each in members.items()} for part, members in parts}

    def restore(self, state):
        self.rows = count_in(state, "rows")
        for part, members in self._parts().items():
            saved = state[part]
            if "model" in saved:  # a file from before there was a mixture
                saved = {"mixture": Mape().state(), "network": saved["model"]} | saved
            for name, each in members.items():
                each.restore(saved[name])

    def _parts(self):
        return {"trivial": self._trivial, "whole": self.whole, "late": self.late}

    def line(self):
        """One line of text: all errors over the whole series."""
        return f"MAPE {self.ahead} ahead: " + ", ".join(f"{name} {_shown(mape)}" for name, mape in self.whole.items())

    def table(self):
        """Lines of text, one for each forecast: its error, and the number of rows."""
        parts = {"whole run": self.whole}
        if self.rows > self.later:
            parts[f"from row {self.later:,} on"] = self.late
        lines = [f"{f'MAPE, {self.ahead} ahead':<22}" + "".join(f"{title:>28}" for title in parts)]
        for name in self.whole:
            lines.append(f"{name:<22}" + "".join(f"{_shown(part[name]):>28}" for part in parts.values()))
        return "\n".join(lines)


def _shown(mape):
    if not mape.rows:
        return "no forecast"
    error = "all values are 0" if mape.percent is None else f"{mape.percent:.4g} %"
    return f"{error} ({mape.rows:,} rows)"
