"""The sine, DeepHTM's first experiment, and the errors of predictors without memory."""

import math

import numpy as np

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError


def sine(steps: int, period: float = 50.0, amplitude: float = 1.0, phase: float = 0.0, jump_at: int | None = None,
         jump: float = 0.0) -> np.ndarray:
    """amplitude * sin(2 pi t / period + phase) for t = 0 ... steps - 1.

    Parameters
    ----------
    steps : int
        Length of the series, 1 or more.
    period : float, default 50.0
        Steps per period, more than 2.
    amplitude : float, default 1.0
        Finite.
    phase : float, default 0.0
        Radians.
    jump_at : int, optional
        The first step after a phase jump.
    jump : float, default 0.0
        Radians added to the phase from `jump_at` on.

    Returns
    -------
    ndarray (steps, 1) float32
        The series, computed in float64.

    Raises
    ------
    UserError
        If an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.sine import sine
    >>> sine(steps=4, period=4).round(3).ravel().tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    steps = check_count("sine's steps", steps)
    _check_period(period)
    if not all(map(math.isfinite, (amplitude, phase, jump))):
        raise UserError(f"sine's amplitude, phase and jump must be finite, got {amplitude}, {phase} and {jump}.")
    if jump_at is None and jump != 0:
        raise UserError(f"jump must be 0 without jump_at, got {jump}; give jump_at, the first step after the jump.")
    if jump_at is not None and not 0 <= jump_at < steps:
        raise UserError(f"jump_at must be a step from 0 to {steps - 1}, got {jump_at}.")

    t = np.arange(steps, dtype=np.float64)  # (steps,)
    angle = 2 * np.pi * t / period + phase
    if jump_at is not None:
        angle[jump_at:] += jump
    return (amplitude * np.sin(angle)).astype(np.float32)[:, None]


def memoryless_floor(period: float) -> float:
    """The RMSE of the best prediction of the next value from the present value alone.

    Amplitude 1, over whole periods. With w = 2 pi / period: sin(a + w) = sin(a) cos(w) + cos(a) sin(w). The sign of
    cos(a), rising or falling, does not follow from sin(a), so the best prediction is sin(a) cos(w), and the error is
    the second term: sqrt(1/2) |sin(w)|. (With an odd whole period and phase 0 no value occurs twice in a period; a
    table of all values would do better.)

    Parameters
    ----------
    period : float
        Steps per period, more than 2.

    Returns
    -------
    float
        The RMSE.

    Raises
    ------
    UserError
        If the period is 2 or less.

    Examples
    --------
    >>> from deephtm_gpu.data.sine import memoryless_floor
    >>> round(memoryless_floor(50), 4)
    0.0886
    """
    _check_period(period)
    return math.sqrt(0.5) * abs(math.sin(2 * math.pi / period))


def persistence_rmse(period: float) -> float:
    """The RMSE of predicting that the next value equals the present value.

    Amplitude 1, over whole periods: sin(a + w) - sin(a) = 2 sin(w/2) cos(a + w/2), whose root mean square is sqrt(2)
    sin(w/2), with w/2 = pi / period. The memoryless floor is cos(w/2) times this.

    Parameters
    ----------
    period : float
        Steps per period, more than 2.

    Returns
    -------
    float
        The RMSE.

    Raises
    ------
    UserError
        If the period is 2 or less.
    """
    _check_period(period)
    return math.sqrt(2) * math.sin(math.pi / period)


def _check_period(period):
    # With two samples per period or fewer, the samples are those of a slower sine, or all zero.
    if not 2 < period < math.inf:
        raise UserError(f"The period of a sine must be > 2 steps and finite, got {period}.")
