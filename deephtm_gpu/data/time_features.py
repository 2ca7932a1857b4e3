"""Timestamps as numbers: the time of day and the weekday."""

import numpy as np

FEATURES = 11
DAY = 86400  # seconds


def time_features(timestamps):
    """Time of day and weekday as numbers.

    Two harmonics let a linear layer distinguish morning from evening peaks, and midnight is near 23:59.

    Parameters
    ----------
    timestamps : sequence of T datetime
        The timestamps.

    Returns
    -------
    ndarray (T, 11) float32
        sin a, cos a, sin 2a, cos 2a with a = 2 pi (time of day) / 24 h, then the weekday one-hot, Monday first.

    Examples
    --------
    >>> from datetime import datetime
    >>> from deephtm_gpu.data.time_features import time_features
    >>> time_features([datetime(2024, 1, 1, 6, 0)])[0, 4:].tolist()  # a Monday
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    seconds = [(t.hour * 60 + t.minute) * 60 + t.second + t.microsecond / 1e6 for t in timestamps]
    angle = 2 * np.pi * np.array(seconds, np.float64) / DAY  # (T,)
    waves = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)  # (T, 4)
    weekdays = np.eye(7)[[t.weekday() for t in timestamps]]  # (T, 7)
    return np.concatenate([waves, weekdays], axis=1).astype(np.float32)
