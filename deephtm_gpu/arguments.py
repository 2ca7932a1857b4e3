"""Checks of users' arguments: numbers, and arrays of numbers. Each check raises UserError for anything else."""

import numbers
import reprlib

import numpy as np

from deephtm_gpu.errors import UserError

LARGEST = 3.4e38  # about the largest float32


def check_count(what: str, value, minimum: int = 1) -> int:
    """value as an int of `minimum` or more. what: the argument's name in the message."""
    try:
        whole = not isinstance(value, bool) and value.__index__() >= minimum
    except (AttributeError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{what} must be a whole number, {minimum} or more, got {shown(value)}.")
    return value.__index__()


def is_number(value) -> bool:
    """Whether value is a real number of Python or NumPy that a float32 can hold. A bool is not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def check_scale(value) -> float | None:
    """value, an `lr_scale`: a number of 0 (frozen) or more, or None."""
    if value is not None and not (is_number(value) and value >= 0):
        raise UserError(f"lr_scale must be a number, 0 (frozen) or more, got {shown(value)}.")
    return value


def check_number(what: str, value, minimum=-LARGEST, most=LARGEST) -> float:
    """value as a float from lowest to highest."""
    if not (is_number(value) and minimum <= value <= most):
        raise UserError(f"{what} must be a number{_range(minimum, most)}, got {shown(value)}.")
    return float(value)


def finite(what: str, given, shape, most=LARGEST, dtype=np.float32) -> np.ndarray:
    """given as an array of finite numbers of at most `most` in absolute value.

    shape: the length of each side; a letter stands for any length of 1 or more.
    """
    array = real(given)
    if array is None:
        got = shown(given)
    elif array.ndim != len(shape) or any(
        n != s and (not isinstance(s, str) or n == 0) for n, s in zip(array.shape, shape)
    ):
        got = f"shape {array.shape}"
    else:
        invalid = ~(np.abs(array.astype(float)) <= most)  # NaN too
        if not invalid.any():
            return array.astype(dtype)
        got = f"{array[invalid][0]} among them"
    sides = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    raise UserError(f"{what} must be finite numbers{_range(-most, most)} of shape ({sides}), got {got}.")


def real(given) -> np.ndarray | None:
    """given as an array of real numbers; None if it is something else, such as text, objects or a ragged list."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "fiub" else None


def shown(value) -> str:
    """The repr of value for a message, shortened if it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an int of thousands of digits
        return f"a huge {type(value).__name__}"


def _range(minimum, most):
    if most >= LARGEST:
        return "" if minimum <= -LARGEST else f", {_plain(minimum)} or more"
    return f" from {_plain(minimum)} to {_plain(most)}"


def _plain(x):
    return f"{x:,.0f}" if abs(x) < 1e9 and x == round(x) else f"{x:g}"
