"""What is given as numbers, brought to float32: what is no number, or lost on the way, is named."""

import sys
import warnings

import numpy as np

from deephtm_gpu.errors import UserError

WHOLE = 2.0**24  # a float32 holds all whole numbers up to here, and not all above
NOTICED = 1e-3  # a mean change from step to step below this is nothing to a model: it learns series of about -1..1
WARNED, REFUSED = 0.02, 0.5  # parts of the changes that may be lost
REMEDY = "subtract an offset before, such as its mean, and scale it to about -1..1."
KINDS = {"c": "complex numbers; give their real and imaginary parts as two numbers a step",
         "M": "dates; give numbers made of them, such as hours, or the time of day as sine and cosine",
         "m": "time differences; give numbers, such as array / np.timedelta64(1, 's')",
         "U": "text; convert it, such as by array.astype(float)",
         "S": "bytes; convert them, such as by array.astype(float)",
         "V": "records; give their fields as numbers, (steps, fields)"}


def as_array(what, given) -> np.ndarray:
    """`given` as an array of numbers. Raises UserError where it is none, or some of it is masked: NumPy would take what
    lies under the mask."""
    _refuse_masked(what, given)
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{what} must be an array of numbers, got {type(given).__name__!r} ({error}); "
                        "give rows of one length.") from None
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind in KINDS:
        raise UserError(f"{what} must be an array of numbers, got {KINDS[array.dtype.kind]}.")
    raise UserError(f"{what} must be an array of numbers, got Python objects{_first_object(array)}.")


def as_float32(array, subject, active=None) -> np.ndarray:
    """array (T, S, ...), or (T, ...) of one stream, in float32. subject(position): who holds what stands at `position`,
    the index behind the steps. active (T, S): where a stream is active. Raises UserError where NaN or infinity
    stands, or where float32 merges most of what changes from step to step; warns where it merges some."""
    with np.errstate(over="ignore"):  # what a float32 cannot hold becomes infinite
        single = array.astype(np.float32, copy=False)
    finite = np.isfinite(single)
    if not finite.all():
        step, *position = np.argwhere(~finite)[0].tolist()
        there = f" at step {step}" if len(array) > 1 else ""
        raise UserError(f"{subject(position)} holds {array[(step, *position)]}{there}; fill it in or leave it out: "
                        "only finite float32 numbers can be learned from.")
    if array.dtype.kind in "fiu" and (single != array).any():
        _check_merged(array, single, subject, active)
    return single


def _refuse_masked(what, given):
    parts = [given, *given] if isinstance(given, (list, tuple)) else [given]
    for number, part in enumerate(parts):
        if not np.ma.is_masked(part):
            continue
        index = [int(i) for i in np.argwhere(np.ma.getmaskarray(part))[0]]
        index = tuple(index if number == 0 else [number - 1, *index])
        raise UserError(
            f"{what} must be an array of numbers without a mask, got {np.ma.count_masked(part)} masked, the first at "
            f"index {index}; fill them in, such as by array.filled(0), or leave these steps out."
        )


def _first_object(array) -> str:
    for index, value in np.ndenumerate(array):
        if not isinstance(value, (int, float, np.number)):
            return f", {value!r} ({type(value).__name__}) at index {index}; fill it in or leave it out"
    return "; convert them, such as by array.astype(float)"


def _check_merged(array, single, subject, active):
    """Compares how far each number moves from step to step before and after: what float32 merges stands still, or
    jumps."""
    if len(array) == 1:  # a live step: nothing to compare with
        if array.dtype.kind in "iu":
            _warn(subject(np.argwhere(single != array)[0, 1:].tolist()))
        return
    moved = np.diff(array.astype(np.float64), axis=0)  # (T-1, ...)
    lost = np.abs(np.diff(single.astype(np.float64), axis=0) - moved)
    if active is not None:  # behind a stream's end stands 0
        there = active[1:].reshape(*active[1:].shape, *[1] * (lost.ndim - 2))
        moved, lost = moved * there, lost * there
    moved, lost = np.abs(moved).mean(axis=0), lost.mean(axis=0)  # (...)
    part = np.where(lost > NOTICED, lost / np.maximum(moved, NOTICED), 0)
    position = np.unravel_index(part.argmax(), part.shape)
    if part[position] < WARNED:
        return
    largest = np.abs(single[(slice(None), *position)]).max()
    if part[position] < REFUSED or largest < WHOLE:
        _warn(subject(position))
        return
    raise UserError(f"{subject(position)} must not lose its changes in float32, which has 7 digits, got values about "
                    f"{largest:.7g} that move by {moved[position]:.3g} a step; {REMEDY}")


def _warn(who):
    """At the line of the user's that gave the series, so that a loop is reported once."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{who} loses some of its changes in float32, which has 7 digits; {REMEDY}", UserWarning, level)
