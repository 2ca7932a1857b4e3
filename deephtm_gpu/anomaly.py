"""The anomaly likelihood: how likely it is, given the anomaly scores, that the stream has changed.

From Ahmad, Lavin, Purdy & Agha, "Unsupervised real-time anomaly detection for streaming data", Neurocomputing 262
(2017): the mean of the last few scores against the distribution of many. In a noisy stream high scores are usual; in a
quiet one a few are a sign.
"""

import math
from collections.abc import Iterable

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.saving.tree import array_in, count_in, number_in

TINY = 1e-10  # the smallest probability that the logarithmic form distinguishes from 0


class AnomalyLikelihood:
    """likelihood = 1 - Q((m - mu) / sigma).

    Q is the tail of the normal distribution, m the mean of the last `short` scores, mu and sigma the mean and standard
    deviation of the last `window` scores. (This is the paper's form. NuPIC takes mu and sigma of the short means, which
    is steeper; on the files of `deephtm bench anomalies` that did worse, 28 against 35.) Memory: `window` numbers; time
    per score: constant.

    Parameters
    ----------
    window : int, default 8640
        How many scores are kept.
    short : int, default 10
        How many of the last scores are compared with them.
    learning : int, default 288
        How many scores at the start are ignored, as everything is unexpected then.
    estimation : int, default 100
        How many further scores are kept before the first result. Until then the likelihood is 0.5.
    floor : float, default 0.01
        The smallest sigma, for streams without noise.

    Raises
    ------
    UserError
        Unless 1 <= short <= estimation <= window, learning >= 0 and floor > 0.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> likelihood = dh.AnomalyLikelihood(window=200, learning=0, estimation=50)
    >>> for _ in range(100):
    ...     usual = likelihood.update(0.1)
    >>> round(usual, 3), round(likelihood.update(0.9), 3)
    (0.5, 0.819)
    """

    def __init__(
        self, window: int = 8640, short: int = 10, learning: int = 288, estimation: int = 100, floor: float = 0.01
    ) -> None:
        if not 1 <= short <= estimation <= window or learning < 0 or not floor > 0:
            raise UserError(
                "AnomalyLikelihood must have 1 <= short <= estimation <= window, learning >= 0 and floor > 0, got "
                f"AnomalyLikelihood(window={window}, short={short}, learning={learning}, estimation={estimation}, "
                f"floor={floor})."
            )
        self._short, self._learning, self._estimation, self._floor = short, learning, estimation, floor
        self._scores = np.zeros(window)  # (window,), a ring
        self._seen = 0  # scores, including those of the learning period
        self._sum = self._squares = self._short_sum = 0.0

    def update(self, score: float) -> float:
        """Take the next score.

        Parameters
        ----------
        score : float
            The anomaly score of the row, 0 (expected) to 1.

        Returns
        -------
        float
            The likelihood, 0 to 1.

        Raises
        ------
        UserError
            If the score is not finite.
        """
        score = float(score)
        if not math.isfinite(score):
            raise UserError(f"Anomaly scores must be finite numbers, 0 (expected) to 1, got {score}.")
        self._seen += 1
        count = self._seen - self._learning  # scores kept, including this one
        if count < 1:
            return 0.5
        self._put(score, count)
        if count < self._estimation:
            return 0.5
        count = min(count, len(self._scores))
        mean = self._sum / count
        variance = max(0.0, self._squares / count - mean * mean)
        return _below((self._short_sum / self._short - mean) / max(self._floor, math.sqrt(variance)))

    def batch(self, scores: Iterable[float]) -> np.ndarray:
        """`update` for each score in turn.

        Parameters
        ----------
        scores : array (T,)
            The anomaly scores.

        Returns
        -------
        ndarray (T,) float64
            The likelihoods.
        """
        return np.array([self.update(s) for s in scores], np.float64)

    def state(self) -> dict:
        """The state, for `restore` of an object with the same settings.

        Returns
        -------
        dict
            The ring of scores (window,), and numbers.
        """
        return {"scores": self._scores.copy(), "seen": self._seen, "sum": self._sum, "squares": self._squares,
                "short_sum": self._short_sum}

    def restore(self, state: dict) -> None:
        """Take over a state of `state()`.

        Parameters
        ----------
        state : dict
            Of an object with the same settings.

        Raises
        ------
        UserError
            If it is of another window.
        """
        if np.shape(state["scores"]) != self._scores.shape:
            raise UserError(f"The state must hold a ring of {len(self._scores)} scores, got shape "
                            f"{np.shape(state['scores'])}; make the AnomalyLikelihood with the same window.")
        self._scores[:], self._seen = array_in(state, "scores", self._scores.shape), count_in(state, "seen")
        self._sum, self._squares, self._short_sum = (number_in(state, n) for n in ("sum", "squares", "short_sum"))

    def _put(self, score, count):
        """Replaces the oldest score of the ring, and updates the sums."""
        window, at = len(self._scores), (count - 1) % len(self._scores)
        oldest, before_short = self._scores[at], self._scores[(at - self._short) % window]
        self._scores[at] = score
        if at == 0:  # sums anew once per round, so that rounding errors do not accumulate
            self._sum, self._squares = float(self._scores.sum()), float(self._scores @ self._scores)
            self._short_sum = float(np.sum(self._scores[(at - np.arange(self._short)) % window]))
        else:
            self._sum += score - oldest
            self._squares += score * score - oldest * oldest
            self._short_sum += score - before_short


def log_likelihood(likelihood):
    """The likelihood on a logarithmic scale, which separates values near 1.

    Parameters
    ----------
    likelihood : float or array
        From 0 to 1.

    Returns
    -------
    float or ndarray
        0 for 0, 0.03 for 0.5, 0.5 for 0.99999, 1 for 1.

    Examples
    --------
    >>> from deephtm_gpu.anomaly import log_likelihood
    >>> round(float(log_likelihood(0.99999)), 3)
    0.5
    """
    return np.log(np.maximum(1 - np.asarray(likelihood, np.float64), TINY)) / math.log(TINY)


def _below(z):
    """The probability that a normal variable is below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))
