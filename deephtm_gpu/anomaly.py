"""From anomaly scores to how likely it is that something has changed.

The anomaly likelihood of Ahmad, Lavin, Purdy & Agha, "Unsupervised real-time anomaly detection for streaming data",
Neurocomputing 262 (2017): the mean of the last few scores against the distribution of many. A noisy stream has high
scores all the time, and they mean nothing; a quiet one has none, and a few mean much.
"""

import math

import numpy as np

from deephtm_gpu.errors import UserError

TINY = 1e-10  # the least probability that the logarithmic form tells apart from 0


class AnomalyLikelihood:
    """likelihood = 1 - Q((m - mu) / sigma): Q the tail of the normal distribution, m the mean of the last `short` scores,
    mu and sigma the mean and deviation of the last `window` scores. (As the paper has it. NuPIC takes mu and sigma of the
    short means instead, which makes it steeper; on the files of `deephtm bench anomalies` that did worse, 28 against 35.)

    learning: so many scores at the start are left out, as everything is unexpected then; estimation: so many more are
    gathered before the first figure. Until then the likelihood is 0.5. floor: the least sigma, for streams without noise.
    Memory: `window` numbers; time per score: constant.
    """

    def __init__(self, window=8640, short=10, learning=288, estimation=100, floor=0.01):
        if not 1 <= short <= estimation <= window or learning < 0 or not floor > 0:
            raise UserError(
                f"AnomalyLikelihood(window={window}, short={short}, learning={learning}, estimation={estimation}, "
                f"floor={floor}) was asked for; it needs 1 <= short <= estimation <= window, learning >= 0 and floor > 0."
            )
        self._short, self._learning, self._estimation, self._floor = short, learning, estimation, floor
        self._scores = np.zeros(window)  # (window,), a ring
        self._seen = 0  # scores, those of the learning period too
        self._sum = self._squares = self._short_sum = 0.0

    def update(self, score):
        """The likelihood, 0 to 1, now that `score` has come. Raises UserError where it is not a finite number."""
        score = float(score)
        if not math.isfinite(score):
            raise UserError(f"AnomalyLikelihood was given the score {score}; scores are finite numbers, 0 (expected) to 1.")
        self._seen += 1
        count = self._seen - self._learning  # scores gathered, this one too
        if count < 1:
            return 0.5
        self._put(score, count)
        if count < self._estimation:
            return 0.5
        count = min(count, len(self._scores))
        mean = self._sum / count
        variance = max(0.0, self._squares / count - mean * mean)
        return _below((self._short_sum / self._short - mean) / max(self._floor, math.sqrt(variance)))

    def batch(self, scores):
        """`update` of one score after the other. scores: (T,). Returns (T,) float64."""
        return np.array([self.update(s) for s in scores], np.float64)

    def state(self):
        """All it has gathered, for `restore` of one with the same settings: the ring of scores (window,), and numbers."""
        return {"scores": self._scores.copy(), "seen": self._seen, "sum": self._sum, "squares": self._squares, "short_sum": self._short_sum}

    def restore(self, state):
        """Raises UserError where the ring is of another window."""
        if np.shape(state["scores"]) != self._scores.shape:
            raise UserError(f"AnomalyLikelihood was given a ring of {np.shape(state['scores'])} scores and has one of {self._scores.shape}; make it with the same window.")
        self._scores[:], self._seen = state["scores"], int(state["seen"])
        self._sum, self._squares, self._short_sum = (float(state[n]) for n in ("sum", "squares", "short_sum"))

    def _put(self, score, count):
        """Into the ring and its sums, in place of the oldest."""
        window, at = len(self._scores), (count - 1) % len(self._scores)
        oldest, before_short = self._scores[at], self._scores[(at - self._short) % window]
        self._scores[at] = score
        if at == 0:  # once a round, so that rounding errors do not add up for ever
            self._sum, self._squares = float(self._scores.sum()), float(self._scores @ self._scores)
            self._short_sum = float(np.sum(self._scores[(at - np.arange(self._short)) % window]))
        else:
            self._sum += score - oldest
            self._squares += score * score - oldest * oldest
            self._short_sum += score - before_short


def log_likelihood(likelihood):
    """The likelihood on a logarithmic scale, where those near 1 can be told apart: 0 for 0, 0.03 for 0.5, 0.5 for
    0.99999, 1 for 1. A number or an array."""
    return np.log(np.maximum(1 - np.asarray(likelihood, np.float64), TINY)) / math.log(TINY)


def _below(z):
    """The probability that a normal variable is below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))
