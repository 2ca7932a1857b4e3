"""Trivial predictors of the next frame, for comparison: the last frame, and a linear map of the last few."""

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, real, shown
from deephtm_gpu.errors import UserError

RIDGE = 10.0


def mean_frame(frames: np.ndarray, learned: np.ndarray) -> float:
    """The squared error, summed over a frame, of predicting the mean frame of other sequences.

    Parameters
    ----------
    frames : ndarray (T, ...)
    learned : ndarray (N, ...)
        The frames whose mean it is.

    Returns
    -------
    float
        The mean over the frames from the second on.

    Raises
    ------
    UserError
        Where there are fewer than two frames, or the shapes differ.
    """
    frames, learned = _checked(frames, 2), _checked(learned, 1)
    if frames.shape[1:] != learned.shape[1:]:
        raise UserError(f"frames must be of shape (T, {_sides(learned)}) as those learned, got {frames.shape}.")
    return _mean_error(frames[1:] - learned.mean(axis=0))


def copy_last(frames: np.ndarray) -> float:
    """The squared error, summed over a frame, of predicting that nothing changes.

    Parameters
    ----------
    frames : ndarray (T, ...)

    Returns
    -------
    float
        The mean over the frames from the second on.

    Raises
    ------
    UserError
        Where there are fewer than two frames.
    """
    frames = _checked(frames, 2)
    return _mean_error(frames[1:] - frames[:-1])


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

    Raises
    ------
    UserError
        Where an argument is out of range, or a sequence is too short or of other frames.

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
        self.frames, self._pixels = check_count("Ridge's frames", frames), check_count("Ridge's pixels", pixels)
        self._penalty = check_number("Ridge's penalty", penalty, 0)
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
        return _mean_error(x @ self._weights - y)

    def _pairs(self, frames):
        frames = _checked(frames, self.frames + 1)
        flat = frames.reshape(len(frames), -1).astype(np.float64)
        if flat.shape[1] != self._pixels:
            raise UserError(f"A frame must have {self._pixels} numbers, got {flat.shape[1]}; make Ridge for so many.")
        n = len(flat) - self.frames
        seen = [flat[i : i + n] for i in range(self.frames)]
        return np.concatenate([*seen, np.ones((n, 1))], axis=1), flat[self.frames :]


def _mean_error(off) -> float:
    """off: predictions less frames, (T, ...)"""
    return float((off**2).reshape(len(off), -1).sum(axis=1).mean())


def _checked(given, fewest):
    frames = real(given)
    if frames is None or frames.ndim < 2 or len(frames) < fewest or not frames.size:
        got = shown(given) if frames is None else f"shape {frames.shape}"
        raise UserError(f"frames must be {fewest} or more frames of numbers, (T, ...), got {got}.")
    return frames


def _sides(frames):
    return ", ".join(map(str, frames.shape[1:]))
