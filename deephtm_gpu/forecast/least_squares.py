"""Least squares on the last differences, learned row by row with forgetting."""

from bisect import bisect_left, insort
from collections import deque

import numpy as np

from deephtm_gpu.forecast.experts import Expert
from deephtm_gpu.forecast.scale import LIMIT, Scale
from deephtm_gpu.saving.tree import array_in, number_in

LAGS = 12
MEMORY = 2000  # rows: older ones are forgotten exponentially
RIDGE = 1.0  # rows of a difference of 1 scale each that speak for weights of 0, which is persistence
WIDTH = 101  # values of the running median


class LeastSquares(Expert):
    """Forecasts the change over the next `ahead` rows by a linear function of the last differences.

    The inputs are the last `lags` differences, the distance to the median of the last WIDTH values, and 1, all in units
    of the `Scale` at that row and clipped, so that neither outliers nor units matter: after an outlier the forecast is
    near the last value, as that of persistence. The weights minimise

        sum over rows k steps ago of (1 - 1/memory)^k (change - weights · inputs)^2  +  ridge |weights|^2

    This is recursive least squares with exponential forgetting (Haykin, Adaptive Filter Theory, 1986), but the normal
    equations are kept rather than their inverse: the ridge does not decay, so nothing blows up when the inputs stay in
    a subspace, as those of a constant or a counter do.

    Parameters
    ----------
    ahead : int
        How many rows to look ahead.
    lags : int, default 12
        How many differences.
    memory : float, default 2000
        Rows, more than 1.
    ridge : float, default 1.0
        More than 0.

    Examples
    --------
    >>> import math
    >>> from deephtm_gpu.forecast import LeastSquares
    >>> expert = LeastSquares(ahead=5)
    >>> for t in range(500):
    ...     expert.update(t / 50 + math.sin(t / 5))
    >>> abs(expert.predict() - (504 / 50 + math.sin(504 / 5))) < 0.05
    True
    """

    def __init__(self, ahead: int, lags: int = LAGS, memory: float = MEMORY, ridge: float = RIDGE):
        self._ahead, self._decay, self._lags = ahead, 1 - 1 / memory, lags
        self._ridge = ridge * np.eye(lags + 2)
        self._products = np.zeros((lags + 2, lags + 2))
        self._targets = np.zeros(lags + 2)
        self._differences = np.zeros(lags)  # the latest first
        self._inputs = np.zeros(lags + 2)  # of the last row
        self._last = None
        self._scale = Scale()
        self._recent, self._sorted = deque(), []  # the last WIDTH values, in their order and sorted
        self._waiting = deque()  # [*inputs, value, scale] of the last `ahead` rows; scale 0: nothing to learn

    @property
    def weights(self) -> np.ndarray:
        """(lags + 2,) float64: of the differences, the latest first, of the distance to the median, and of 1."""
        return np.linalg.solve(self._products + self._ridge, self._targets)

    def update(self, value, when=None):
        known = value is not None
        if known:
            self._learn(value)
        elif len(self._waiting) == self._ahead:
            self._waiting.popleft()
        if known or self._last is not None:
            self._observe(value if known else self._last)
        scale = self._scale.value if known else 0.0
        self._waiting.append(np.concatenate([self._inputs, (self._last or 0.0, scale)]))

    def predict(self):
        if self._last is None or self._scale.value == 0:
            return self._last
        change = float(self.weights @ self._inputs) * self._scale.value
        return self._last + self._scale.clip(change, self._ahead)

    def state(self):
        return {
            "products": self._products.copy(), "targets": self._targets.copy(), "last": self._last,
            "differences": self._differences.copy(), "inputs": self._inputs.copy(), "scale": self._scale.state(),
            "recent": np.array(self._recent, np.float64),
            "waiting": np.array(self._waiting, np.float64).reshape(-1, self._lags + 4),
        }

    def restore(self, state):
        n = self._lags + 2
        self._products = array_in(state, "products", (n, n)).copy()
        self._targets = array_in(state, "targets", (n,)).copy()
        self._differences = array_in(state, "differences", (self._lags,)).copy()
        self._inputs = array_in(state, "inputs", (n,)).copy()
        self._last = None if state["last"] is None else number_in(state, "last")
        self._scale.restore(state["scale"])
        self._recent = deque(array_in(state, "recent", (None,))[-WIDTH:].tolist())
        self._sorted = sorted(self._recent)
        self._waiting = deque(array_in(state, "waiting", (None, n + 2))[-self._ahead:].copy())
        inputs = np.array([self._inputs, *(row[:-2] for row in self._waiting)])
        if not (np.abs(inputs) <= LIMIT).all():
            raise ValueError(f"inputs must be from -{LIMIT:g} to {LIMIT:g}")
        if not np.isfinite(self._products).all() or np.linalg.eigvalsh(self._products + self._ridge)[0] <= 0:
            raise ValueError("products must be sums of products of inputs")
        if not np.isfinite(self._sorted).all():
            raise ValueError("recent must be finite")

    def _learn(self, value):
        """From the row `ahead` rows ago, whose future has arrived."""
        if len(self._waiting) < self._ahead:
            return
        row = self._waiting.popleft()
        inputs, before, scale = row[:-2], row[-2], row[-1]
        if scale > 0:
            limit = self._scale.clip(float("inf"), self._ahead)
            change = min(limit, max(-limit, value - before)) / scale
            self._products *= self._decay
            self._products += inputs[:, None] * inputs
            self._targets *= self._decay
            self._targets += change * inputs

    def _observe(self, value):
        difference = 0.0 if self._last is None else value - self._last
        if self._last is not None:
            self._scale.update(difference)
        self._last = value
        self._differences[1:] = self._differences[:-1]
        self._differences[0] = self._scale.clip(difference)
        distance = self._scale.clip(self._median(value) - value)
        scale = self._scale.value
        if scale > 0:
            self._inputs[:-2] = self._differences
            self._inputs[-2] = distance
            self._inputs[:-1] /= scale
            np.minimum(LIMIT, np.maximum(-LIMIT, self._inputs, out=self._inputs), out=self._inputs)
            self._inputs[-1] = 1.0
        else:
            self._inputs[:] = 0.0

    def _median(self, value):
        self._recent.append(value)
        insort(self._sorted, value)
        if len(self._recent) > WIDTH:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        return self._sorted[len(self._sorted) // 2]
