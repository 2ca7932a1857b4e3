"""Errors of predictions, by the step at which the truth arrives."""

import numpy as np

LAST = 300  # steps over which an RMSE is taken, as in the published figures of the sine


def errors(series, prediction) -> np.ndarray:
    """The error of the prediction for each step.

    Parameters
    ----------
    series, prediction : array (T, 1)
        prediction[t] was made at step t for step t + 1.

    Returns
    -------
    ndarray (T,) float64
        errors[t] of the prediction for step t; NaN for step 0, which has none.

    Examples
    --------
    >>> from deephtm_gpu.view import errors
    >>> errors([[1.0], [2.0]], [[2.5], [0.0]]).tolist()
    [nan, 0.5]
    """
    off = np.full(len(series), np.nan)  # (T,)
    off[1:] = np.asarray(prediction, dtype=np.float64)[:-1, 0] - np.asarray(series, dtype=np.float64)[1:, 0]
    return off


def running_rmse(off):
    """off (T,) from errors() -> (T,): at every step the RMSE of the last LAST steps that have an error."""
    padded = np.concatenate([np.zeros(LAST), off[1:]])  # (LAST+T-1,): step 0 and the steps before it count as 0
    squares = np.lib.stride_tricks.sliding_window_view(padded * padded, LAST).sum(axis=1)  # (T,)
    count = np.minimum(np.arange(len(off)), LAST)  # (T,)
    return np.sqrt(np.divide(squares, count, out=np.full(len(off), np.nan), where=count > 0))


def rmse_after(off, steps: int) -> float:
    """off (T,) from errors() -> the RMSE of the last LAST of the first `steps` steps; NaN if none has an error."""
    return float(running_rmse(off[:steps])[-1])
