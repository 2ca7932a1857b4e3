"""Checks of users' arguments: numbers, and arrays of numbers. Each check raises UserError for anything else."""

import numbers
import reprlib

import numpy as np

from deephtm_gpu.errors import UserError

LARGEST = 3.4e38  # about the largest float32
SMALLEST = 1.2e-38  # about the smallest that float32 holds in full
MOST = 2**31 - 1  # of a size: shaders count with 32 bits
MOST_SEED = 2**128 - 1


def check_count(what: str, value, minimum: int = 1, most: int = MOST) -> int:
    """value as an int from `minimum` to `most`. what: the argument's name in the message."""
    try:
        count = None if isinstance(value, bool) else value.__index__()
    except (AttributeError, TypeError):
        count = None
    if count is None or count < minimum:
        raise UserError(f"{what} must be a whole number, {minimum} or more, got {shown(value)}.")
    if count > most:
        raise UserError(f"{what} must be a whole number from {minimum} to {most:,}, got {shown(value)}.")
    return count


def check_seed(what: str, value) -> int:
    """value as an int, the seed of a random generator."""
    return check_count(what, value, minimum=0, most=MOST_SEED)


def is_number(value) -> bool:
    """Whether value is a real number of Python or NumPy that a float32 can hold. A bool is not."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return -LARGEST <= float(value) <= LARGEST
    except OverflowError:
        return False


def is_positive(value) -> bool:
    """Whether value is a number above 0 that stays so in float32."""
    return is_number(value) and float(value) >= SMALLEST


def one_of(value, choices) -> bool:
    """Whether value is one of these texts."""
    return isinstance(value, str) and value in choices


def check_flag(what: str, value) -> bool:
    """value, True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise UserError(f"{what} must be True or False, got {shown(value)}.")
    return bool(value)


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
    """The repr of value for a message, in one line, shortened if it is long."""
    try:
        return " ".join(line.strip() for line in reprlib.repr(value).splitlines())
    except ValueError:  # an int of thousands of digits
        return f"a huge {type(value).__name__}"


def _range(minimum, most):
    if most >= LARGEST:
        return "" if minimum <= -LARGEST else f", {_plain(minimum)} or more"
    return f" from {_plain(minimum)} to {_plain(most)}"


def _plain(x):
    return f"{x:,.0f}" if abs(x) < 1e9 and x == round(x) else f"{x:g}"
