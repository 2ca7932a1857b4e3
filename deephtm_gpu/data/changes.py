"""What a network sees of a series of numbers: changes over `ahead` rows, and its level, standardised online."""

from collections import deque

import numpy as np

from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.saving.tree import array_in


class Levels:
    """The values alone, standardised.

    For a Learner with values_alone, and for those that were saved before there were `Changes`.
    """

    def __init__(self):
        self._scaler = OnlineScaler()

    def standardise(self, values):
        """Take the next values.

        Parameters
        ----------
        values : array (T,)
            Finite numbers.

        Returns
        -------
        inputs : list of ndarray (T, 1) float32
            What the network sees; it predicts the first of them.
        base, unit : ndarray (T,) float64
            base + unit * prediction is the network's forecast of the value `ahead` rows later.
        """
        z, mean, deviation = self._scaler.standardise(values)
        return [z[:, None]], mean, deviation

    def pass_over(self, value):
        """Take a value for one that did not arrive: time goes on, and nothing is learned from it.

        Parameters
        ----------
        value : float
            Such as what was predicted.

        Returns
        -------
        inputs, base, unit
            As of `standardise`, of one row.
        """
        z, mean, deviation = self._scaler.place(value)
        return [_one(z)], mean, deviation

    def reset(self):
        """A new sequence begins."""

    def state(self):
        """The state, for `restore`."""
        return self._scaler.state()

    def restore(self, state):
        self._scaler.restore(state)


class Changes:
    """The changes over `ahead` rows, standardised, and the values, standardised.

    The network predicts the change from a row to the row `ahead` later. What it learns of changes holds at levels that
    the series has not had before, as with a trend, or after a step; a prediction of 0 is about persistence.

    Parameters
    ----------
    ahead : int
        How many rows to look ahead.

    Examples
    --------
    >>> from deephtm_gpu.data.changes import Changes
    >>> inputs, base, unit = Changes(ahead=2).standardise([1.0, 2.0, 4.0, 8.0])  # changes 0, 0, 3, 6
    >>> [x.shape for x in inputs], (base + unit * inputs[0][:, 0]).round(3).tolist()
    ([(4, 1), (4, 1)], [1.0, 2.0, 7.0, 14.0])
    """

    def __init__(self, ahead):
        self._past = deque(maxlen=ahead)  # values, the oldest first
        self._changes, self._values = OnlineScaler(), OnlineScaler()

    def standardise(self, values):
        """As of `Levels`; the first `ahead` changes are 0."""
        changes = np.array([self._change_to(float(value)) for value in values])  # (T,)
        change, mean, deviation = self._changes.standardise(changes)  # (T,) each
        level, _, _ = self._values.standardise(values)
        return [change[:, None], level[:, None]], np.asarray(values, np.float64) + mean, deviation

    def pass_over(self, value):
        """As of `Levels`."""
        change, mean, deviation = self._changes.place(self._change_to(float(value)))
        return [_one(change), _one(self._values.place(value)[0])], value + mean, deviation

    def reset(self):
        """A new sequence begins: the first `ahead` changes are 0 again."""
        self._past.clear()

    def _change_to(self, value):
        change = value - self._past[0] if len(self._past) == self._past.maxlen else 0.0
        self._past.append(value)
        return change

    def state(self):
        """The state, for `restore` of an object made with the same `ahead`."""
        return {"past": np.array(self._past, np.float64), "changes": self._changes.state(),
                "values": self._values.state()}

    def restore(self, state):
        self._past = deque(array_in(state, "past", (None,)).tolist(), self._past.maxlen)
        self._changes.restore(state["changes"])
        self._values.restore(state["values"])


def _one(z) -> np.ndarray:
    return np.array([[z]], np.float32)  # (1, 1)
