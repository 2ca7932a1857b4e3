"""Trivial detectors of anomalies, which look at nothing but the values: a score that they beat is no result."""

import numpy as np

WINDOW = 6400  # rows, as in the anomaly benchmark's windowed Gaussian


def min_max(values):
    """How far each value lies outside the range of those before, in widths of that range; 0 inside. values: (T,), (T,)."""
    lowest, highest = np.minimum.accumulate(values)[:-1], np.maximum.accumulate(values)[:-1]
    width = highest - lowest
    outside = np.maximum(np.maximum(values[1:] - highest, lowest - values[1:]), 0)
    return np.concatenate([[0], np.divide(outside, width, out=np.zeros_like(width), where=width > 0)])


def windowed_gaussian(values, window=WINDOW):
    """How many standard deviations of the last `window` values each is away from their mean. values: (T,). Returns (T,).

    The benchmark's own turns this into the normal distribution's tail, which changes no order but runs out of digits.
    """
    shifted = values - values[0]  # against rounding errors of the sums
    sums, squares = (np.concatenate([[0], np.cumsum(s)]) for s in (shifted, shifted * shifted))
    end = np.arange(2, len(values))
    start = np.maximum(0, end - window)
    mean = (sums[end] - sums[start]) / (end - start)
    variance = (squares[end] - squares[start]) / (end - start) - mean * mean
    z = np.abs(shifted[2:] - mean) / np.sqrt(np.maximum(variance, 1e-12))
    return np.concatenate([[0, 0], z])
