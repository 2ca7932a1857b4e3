"""What users hand over, checked: numbers, and arrays of them. Each function raises UserError where it finds something else."""

import numbers
import reprlib

import numpy as np

from deephtm_gpu.errors import UserError


def check_count(what: str, value, least: int = 1) -> int:
    """value as an int, or a UserError that names argument and value."""
    try:
        whole = not isinstance(value, bool) and value.__index__() >= least
    except (AttributeError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{what} = {value!r} was asked for; it must be a whole number, {least} or more.")
    return value.__index__()


LARGEST = 3.4e38  # about what a float32 holds


def is_number(value) -> bool:
    """Python's and NumPy's real numbers that a float32 can hold, but not truth values."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def check_scale(value) -> float | None:
    if value is not None and not (is_number(value) and value >= 0):
        raise UserError(f"lr_scale = {value!r} was asked for; it must be a number, 0 (frozen) or more.")
    return value


def check_number(what: str, value, least=-LARGEST, most=LARGEST) -> float:
    """value as a float from least to most."""
    if not (is_number(value) and least <= value <= most):
        raise UserError(f"{what} = {shown(value)} was asked for; it must be a number{_range(least, most)}.")
    return float(value)


def finite(what: str, given, shape, most=LARGEST, dtype=np.float32) -> np.ndarray:
    """given as an array of finite numbers, none beyond `most` in absolute value. shape: the length of each side; a letter where any
    from 1 on will do."""
    array = real(given)
    if array is None:
        told = f"was given as {shown(given)}"
    elif array.ndim != len(shape) or any(n != s and (not isinstance(s, str) or n == 0) for n, s in zip(array.shape, shape)):
        told = f"of shape {array.shape} was given"
    else:
        beyond = ~(np.abs(array.astype(float)) <= most)  # NaN too
        if not beyond.any():
            return array.astype(dtype)
        told = f"with {array[beyond][0]} in it was given"
    sides = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    raise UserError(f"{what} {told}; it must hold finite numbers{_range(-most, most)}, and be of shape ({sides}).")


def real(given) -> np.ndarray | None:
    """given as an array of real numbers; None where it is none, such as text, objects, or rows of different lengths."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "fiub" else None


def shown(value) -> str:
    """value for a message, cut where it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # of an int of thousands of digits
        return f"a huge {type(value).__name__}"


def _range(least, most):
    if most >= LARGEST:
        return "" if least <= -LARGEST else f", {_plain(least)} or more"
    return f" from {_plain(least)} to {_plain(most)}"


def _plain(x):
    return f"{x:,.0f}" if abs(x) < 1e9 and x == round(x) else f"{x:g}"
