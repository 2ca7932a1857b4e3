"""How far predictions were off, by the step at which the truth arrived."""

import numpy as np

LAST = 300  # steps over which an RMSE is taken, as in the published figures of the sine


def errors(series, prediction):
    """series (T, 1), prediction (T, 1), prediction[t] made at t for t + 1 -> (T,) float64, errors[t] of the prediction
    for step t. Nothing was predicted for step 0: NaN."""
    off = np.full(len(series), np.nan)  # (T,)
    off[1:] = np.asarray(prediction, dtype=np.float64)[:-1, 0] - np.asarray(series, dtype=np.float64)[1:, 0]
    return off


def running_rmse(off):
    """off (T,) from errors() -> (T,): at every step the RMSE of the last LAST steps, or of as many as have an error."""
    padded = np.concatenate([np.zeros(LAST), off[1:]])  # (LAST+T-1,): step 0 and all before it count as 0
    squares = np.lib.stride_tricks.sliding_window_view(padded * padded, LAST).sum(axis=1)  # (T,)
    count = np.minimum(np.arange(len(off)), LAST)  # (T,)
    return np.sqrt(np.divide(squares, count, out=np.full(len(off), np.nan), where=count > 0))


def rmse_after(off, steps):
    """off (T,) from errors() -> the RMSE of the last LAST of the first `steps` steps; NaN without an error."""
    return float(running_rmse(off[:steps])[-1])
