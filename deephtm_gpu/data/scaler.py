"""Brings a series to mean 0 and deviation 1 while it arrives, from nothing but what has arrived."""

import math

import numpy as np

HORIZON = 10_000  # rows: older values fade out, so that the scale follows a series which changes for good
LIMIT = 8.0  # deviations: a stray value must not throw the weights out of bounds
STRAY = 30.0  # deviations: nor must one broken reading set the scale of the next thousands of rows


class OnlineScaler:
    """Running mean and standard deviation: over all rows so far, from row HORIZON on with exponential forgetting
    (Welford's update with the rate max(1/n, 1/HORIZON)).

    A value is standardised with the scale that it is itself part of: so the first gives 0, the second 1 or -1, none more
    than sqrt(n). Beyond LIMIT it is cut off; while the series is constant it is 0. In the scale itself a value counts as no
    further than STRAY deviations away: a single spike then hardly widens it, a lasting step still does, within hundreds of
    rows.

    A prediction that waits for its target: the target is standardised with the scale of its own row, `ahead` rows later
    than the scale which the prediction is brought back with (that of the row where it was made: nothing later was known).
    The two differ by about ahead/n deviations; the network learns to aim at the later one.
    """

    def __init__(self):
        self._rows = 0
        self._mean = 0.0
        self._deviation = 0.0

    def standardise(self, values):
        """values: (T,). Returns z (T,) float32 and the scale after each row, mean and deviation, both (T,) float64:
        mean + deviation * z is the value again."""
        z, scale = np.empty(len(values), np.float32), np.empty((2, len(values)))
        for t, value in enumerate(values):
            z[t] = self._update(float(value))
            scale[:, t] = self._mean, self._deviation
        return z, scale[0], scale[1]

    def state(self):
        """All it has learned, as numbers, for `restore`."""
        return {"rows": self._rows, "mean": self._mean, "deviation": self._deviation}

    def restore(self, state):
        self._rows, self._mean, self._deviation = int(state["rows"]), float(state["mean"]), float(state["deviation"])

    def _update(self, value):
        self._rows += 1
        rate = max(1 / self._rows, 1 / HORIZON)
        difference = value - self._mean
        if self._deviation > 0:
            difference = _cut(difference, STRAY * self._deviation)
        self._mean = value if rate == 1 else self._mean + rate * difference
        # var <- (1 - rate) (var + rate difference^2); hypot, as squares of 1e200 or 1e-200 leave the range of float64.
        self._deviation = math.sqrt(1 - rate) * math.hypot(self._deviation, math.sqrt(rate) * difference)
        if self._deviation == 0:
            return 0.0
        return _cut((value - self._mean) / self._deviation, LIMIT)


def _cut(x, limit):
    return min(limit, max(-limit, x))
