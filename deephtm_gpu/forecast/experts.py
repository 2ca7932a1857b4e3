"""What an expert is, and the two simplest."""

from datetime import datetime

from deephtm_gpu.forecast.scale import Scale
from deephtm_gpu.saving.tree import count_in, number_in

HORIZON = 100  # values: the slope of `Drift` forgets older ones exponentially


class Expert:
    """Forecasts a series, from the values up to now.

    Subclasses are made with `ahead`, the number of rows to look ahead, 1 or more. A row without a value passes the
    time and teaches nothing.
    """

    def update(self, value: float | None, when: datetime | None = None) -> None:
        """Take the next row.

        Parameters
        ----------
        value : float or None
            Finite; None if it is missing.
        when : datetime, optional
            Its timestamp, without time zone.
        """
        raise NotImplementedError

    def predict(self) -> float | None:
        """The forecast of the value `ahead` rows after the last one; None if there is none."""
        raise NotImplementedError

    def state(self) -> dict:
        """The state, for `restore` of an expert made with the same arguments: numbers and arrays."""
        raise NotImplementedError

    def restore(self, state: dict) -> None:
        """Take over a state of `state()`. Raises ValueError if it is of something else."""
        raise NotImplementedError


class Persistence(Expert):
    """Forecasts the last value.

    Examples
    --------
    >>> from deephtm_gpu.forecast import Persistence
    >>> expert = Persistence()
    >>> expert.update(3.0)
    >>> expert.update(None)
    >>> expert.predict()
    3.0
    """

    def __init__(self):
        self._last = None

    def update(self, value, when=None):
        if value is not None:
            self._last = value

    def predict(self):
        return self._last

    def state(self):
        return {"last": self._last}

    def restore(self, state):
        self._last = None if state["last"] is None else number_in(state, "last")


class Drift(Expert):
    """Forecasts the last value and `ahead` times the mean slope of about the last HORIZON rows, without outliers.

    Parameters
    ----------
    ahead : int
        How many rows to look ahead.

    Examples
    --------
    >>> from deephtm_gpu.forecast import Drift
    >>> expert = Drift(ahead=3)
    >>> for value in (10.0, 12.0, 14.0):
    ...     expert.update(value)
    >>> expert.predict()
    20.0
    """

    def __init__(self, ahead: int):
        self._ahead = ahead
        self._last = None
        self._slope = 0.0
        self._rows = 0
        self._scale = Scale()

    def update(self, value, when=None):
        if value is None:
            return
        if self._last is not None:
            difference = value - self._last
            self._scale.update(difference)
            self._rows += 1
            rate = max(1 / self._rows, 1 / HORIZON)
            self._slope += rate * (self._scale.clip(difference) - self._slope)
        self._last = value

    def predict(self):
        return None if self._last is None else self._last + self._ahead * self._slope

    def state(self):
        return {"last": self._last, "slope": self._slope, "rows": self._rows, "scale": self._scale.state()}

    def restore(self, state):
        self._last = None if state["last"] is None else number_in(state, "last")
        self._slope, self._rows = number_in(state, "slope"), count_in(state, "rows")
        self._scale.restore(state["scale"])
