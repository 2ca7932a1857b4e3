"""The size of a series' differences, which outliers do not move far."""

from deephtm_gpu.saving.tree import count_in, number_in

HORIZON = 200  # differences: older ones are forgotten exponentially
MOST_RUN = 1000  # differences: by then the limit has left the range of float64
LIMIT = 8.0  # scales: the largest difference that counts; larger ones are outliers or steps


class Scale:
    """Mean absolute difference of about the last HORIZON rows, in which none counts as more than LIMIT times the mean.

    In a run of larger ones the limit doubles with each, so that the scale follows a series that comes alive.

    Attributes
    ----------
    value : float
        The scale; 0 while the series is constant.

    Examples
    --------
    >>> from deephtm_gpu.forecast.scale import LIMIT, Scale
    >>> scale = Scale()
    >>> for difference in (1.0, -1.0, 1e9):
    ...     scale.update(difference)
    >>> round(scale.value, 2), scale.clip(-1e9) == -LIMIT * scale.value
    (3.33, True)
    """

    def __init__(self):
        self.value = 0.0
        self._rows = 0
        self._run = 0  # of differences beyond the limit

    def update(self, difference: float) -> None:
        """Take the next difference of two values."""
        self._rows += 1
        size = abs(difference)
        if self.value > 0:
            limit = LIMIT * self.value
            if size > limit:
                size = min(size, limit * 2.0**self._run)
                self._run = min(self._run + 1, MOST_RUN)
            else:
                self._run = 0
        self.value += max(1 / self._rows, 1 / HORIZON) * (size - self.value)

    def clip(self, difference: float, times: float = 1.0) -> float:
        """The difference, at most times * LIMIT scales."""
        limit = times * LIMIT * self.value
        return min(limit, max(-limit, difference))

    def state(self) -> dict:
        return {"value": self.value, "rows": self._rows, "run": self._run}

    def restore(self, state: dict) -> None:
        self.value, self._rows = number_in(state, "value"), count_in(state, "rows")
        self._run = count_in(state, "run", MOST_RUN)
