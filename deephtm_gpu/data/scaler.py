"""Standardises a series online: to mean 0 and standard deviation 1, from the values so far."""

import math

import numpy as np

from deephtm_gpu.saving.tree import count_in, number_in

HORIZON = 10_000  # values: older ones are forgotten exponentially, so that the scale follows a permanent change
LIMIT = 8.0  # standard deviations: the largest output, so that an outlier cannot make the training diverge
# Standard deviations: the largest distance in the scale's own update, so that one broken reading cannot set the scale.
STRAY = 30.0


class OnlineScaler:
    """Running mean and standard deviation of all values so far, with exponential forgetting after HORIZON values.

    This is Welford's update with the rate max(1/n, 1/HORIZON). A value is standardised with a scale that includes it:
    the first gives 0, the second 1 or -1, none more than sqrt(n). The output is clipped to LIMIT; while the series is
    constant it is 0. In the update of the scale, a value counts as at most STRAY deviations away: a single spike hardly
    widens the scale, while a permanent step widens it within hundreds of values.

    A target is standardised with the scale of its own step. The prediction of it was made `ahead` steps earlier and is
    turned into a value with the scale of that step. The two scales differ by about ahead/n deviations; the network
    learns this difference too.

    Examples
    --------
    >>> from deephtm_gpu.data.scaler import OnlineScaler
    >>> z, mean, deviation = OnlineScaler().standardise([1.0, 3.0])
    >>> z.tolist(), mean.tolist(), deviation.round(3).tolist()
    ([0.0, 1.0], [1.0, 2.0], [0.0, 1.0])
    """

    def __init__(self):
        self._rows = 0
        self._mean = 0.0
        self._deviation = 0.0

    def standardise(self, values):
        """Take the next values.

        Parameters
        ----------
        values : array (T,)
            Finite numbers.

        Returns
        -------
        z : ndarray (T,) float32
            The standardised values.
        mean, deviation : ndarray (T,) float64
            The scale after each value: mean + deviation * z is the value, unless it was clipped.
        """
        z, scale = np.empty(len(values), np.float32), np.empty((2, len(values)))
        for t, value in enumerate(values):
            z[t] = self._update(float(value))
            scale[:, t] = self._mean, self._deviation
        return z, scale[0], scale[1]

    def place(self, value):
        """Where a value that did not arrive would lie. Nothing is learned from it.

        Parameters
        ----------
        value : float

        Returns
        -------
        z, mean, deviation : float
            As of `standardise`.
        """
        z = _cut((value - self._mean) / self._deviation, LIMIT) if self._deviation else 0.0
        return z, self._mean, self._deviation

    def state(self):
        """The state, for `restore`."""
        return {"rows": self._rows, "mean": self._mean, "deviation": self._deviation}

    def restore(self, state):
        self._rows = count_in(state, "rows")
        self._mean, self._deviation = number_in(state, "mean"), number_in(state, "deviation")

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
