"""The sine, DeepHTM's first experiment, and what predictors without memory reach on it."""

import math

import numpy as np

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError


def sine(steps, period=50.0, amplitude=1.0, phase=0.0, jump_at=None, jump=0.0):
    """amplitude * sin(2 pi t / period + phase) for t = 0 ... steps - 1.

    period in steps, phase and jump in radians; from step `jump_at` on, `jump` is added to the phase.
    Returns (steps, 1) float32, computed in float64. Raises UserError.
    """
    steps = check_count("sine's steps", steps)
    _check_period(period)
    if not all(map(math.isfinite, (amplitude, phase, jump))):
        raise UserError(f"Amplitude {amplitude}, phase {phase} and jump {jump} were asked for; give finite numbers.")
    if jump_at is None and jump != 0:
        raise UserError(f"A phase jump of {jump} was asked for, but not when; give jump_at, the first step after it.")
    if jump_at is not None and not 0 <= jump_at < steps:
        raise UserError(f"A phase jump at step {jump_at} was asked for; there are steps 0 to {steps - 1}: choose one.")

    t = np.arange(steps, dtype=np.float64)  # (steps,)
    angle = 2 * np.pi * t / period + phase
    if jump_at is not None:
        angle[jump_at:] += jump
    return (amplitude * np.sin(angle)).astype(np.float32)[:, None]


def memoryless_floor(period):
    """The RMSE of the best prediction of the next value from the present one alone: amplitude 1, over whole periods.

    With w = 2 pi / period: sin(a + w) = sin(a) cos(w) + cos(a) sin(w). The sign of cos(a), rising or falling, cannot be
    seen in sin(a), so the best guess is sin(a) cos(w), and the second term is left: sqrt(1/2) |sin(w)|.
    (An odd whole period with phase 0 never has one value twice; a table of all its values would go below this.)
    Raises UserError.
    """
    _check_period(period)
    return math.sqrt(0.5) * abs(math.sin(2 * math.pi / period))


def persistence_rmse(period):
    """The RMSE of predicting that the next value equals the present one: amplitude 1, over whole periods.

    sin(a + w) - sin(a) = 2 sin(w/2) cos(a + w/2), whose root mean square is sqrt(2) sin(w/2), w/2 = pi / period.
    Never below the memoryless floor, which is cos(w/2) times it. Raises UserError.
    """
    _check_period(period)
    return math.sqrt(2) * math.sin(math.pi / period)


def _check_period(period):
    # At two samples a period or fewer, the samples are those of a slower sine (or all zero).
    if not 2 < period < math.inf:
        raise UserError(f"A sine of period {period} was asked for; sampled once a step, more is needed: give > 2.")
