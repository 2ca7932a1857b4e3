"""Trivial anomaly detectors, which see only the values. A useful detector must beat them."""

import numpy as np

WINDOW = 6400  # rows, as in the anomaly benchmark's windowed Gaussian


def min_max(values):
    """How far each value lies outside the range of the values before it, in widths of that range; 0 inside.

    Parameters
    ----------
    values : array (T,)
        The series.

    Returns
    -------
    ndarray (T,)
        The scores.

    Examples
    --------
    >>> import numpy as np
    >>> from deephtm_gpu.data.anomaly_baselines import min_max
    >>> min_max(np.array([5.0, 7, 6, 9])).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    lowest, highest = np.minimum.accumulate(values)[:-1], np.maximum.accumulate(values)[:-1]
    width = highest - lowest
    outside = np.maximum(np.maximum(values[1:] - highest, lowest - values[1:]), 0)
    return np.concatenate([[0], np.divide(outside, width, out=np.zeros_like(width), where=width > 0)])


def windowed_gaussian(values, window=WINDOW):
    """How many standard deviations each value is from the mean of the last `window` values.

    The benchmark's own detector returns the tail of the normal distribution, which has the same order but runs out of
    digits.

    Parameters
    ----------
    values : array (T,)
        The series.
    window : int, default 6400
        How many values before each one count.

    Returns
    -------
    ndarray (T,)
        The scores.
    """
    shifted = values - values[0]  # reduces rounding errors of the sums
    sums, squares = (np.concatenate([[0], np.cumsum(s)]) for s in (shifted, shifted * shifted))
    end = np.arange(2, len(values))
    start = np.maximum(0, end - window)
    mean = (sums[end] - sums[start]) / (end - start)
    variance = (squares[end] - squares[start]) / (end - start) - mean * mean
    z = np.abs(shifted[2:] - mean) / np.sqrt(np.maximum(variance, 1e-12))
    return np.concatenate([[0, 0], z])
