"""Trivial predictors of the next frame, for comparison: the last frame, and a linear map of the last few."""

import numpy as np

from deephtm_gpu.errors import UserError

RIDGE = 10.0


def copy_last(frames: np.ndarray) -> float:
    """The squared error, summed over a frame, of predicting that nothing changes.

    Parameters
    ----------
    frames : ndarray (T, ...)

    Returns
    -------
    float
        The mean over the frames from the second on.
    """
    off = frames[1:] - frames[:-1]
    return float((off**2).reshape(len(off), -1).sum(axis=1).mean())


class Ridge:
    """Linear regression from the last frames to the next, with a penalty on large weights: in memory that does not grow
    with the series.

    Parameters
    ----------
    frames : int
        How many are seen.
    pixels : int
        Numbers of a frame.
    penalty : float, default 10.0

    Examples
    --------
    >>> from deephtm_gpu.data.balls import Balls
    >>> from deephtm_gpu.data.image_baselines import Ridge, copy_last
    >>> ridge, held_out = Ridge(2, 100), Balls(1, side=10).take(50)
    >>> for seed in range(2, 22):
    ...     ridge.learn(Balls(seed, side=10).take(100))
    >>> ridge.error(held_out) < copy_last(held_out)
    True
    """

    def __init__(self, frames: int, pixels: int, penalty: float = RIDGE) -> None:
        self.frames, self._penalty = frames, penalty
        self._squares = np.zeros((frames * pixels + 1, frames * pixels + 1))
        self._products = np.zeros((frames * pixels + 1, pixels))
        self._weights: np.ndarray | None = None

    def learn(self, frames: np.ndarray) -> None:
        """Takes a sequence in, (T, ...)."""
        x, y = self._pairs(frames)
        self._squares += x.T @ x
        self._products += x.T @ y
        self._weights = None

    def error(self, frames: np.ndarray) -> float:
        """The squared error summed over a frame, its mean over a sequence (T, ...) that it has not learned from."""
        if not self._squares.any():
            raise UserError("Ridge must have learned from frames before it predicts, got none; call learn() first.")
        if self._weights is None:
            self._weights = np.linalg.solve(self._squares + self._penalty * np.eye(len(self._squares)), self._products)
        x, y = self._pairs(frames)
        return float(((x @ self._weights - y) ** 2).sum(axis=1).mean())

    def _pairs(self, frames):
        flat = frames.reshape(len(frames), -1).astype(np.float64)
        n = len(flat) - self.frames
        seen = [flat[i : i + n] for i in range(self.frames)]
        return np.concatenate([*seen, np.ones((n, 1))], axis=1), flat[self.frames :]
