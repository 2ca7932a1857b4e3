"""What users hand over as a series, checked and brought to (T, S, D)."""

from functools import partial
from math import prod

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.numeric import as_array, as_float32


def as_series(what, given, shapes, streams, classes=None, steps=None, mask=None, unit="stream") -> list[np.ndarray]:
    """given: an array (T, *shape) or (T, S, *shape), or a list of as many arrays as there are shapes. classes: for
    each, whether whole numbers (T,) or (T, S) may stand for one-hot rows. mask (T, S): where it is false, 0 is taken.
    unit: what one of the S is, for messages. Returns float32 arrays (T, S, D). Raises UserError."""
    if len(shapes) > 1 and not isinstance(given, (list, tuple)):
        raise UserError(f"{what} must be a list of {len(shapes)} series, one for each of the network's, got one "
                        f"{type(given).__name__}.")
    arrays = [given] if len(shapes) == 1 and not is_list_of_one(given, len(shapes[0]) + (streams > 1)) else list(given)
    if len(arrays) != len(shapes):
        raise UserError(f"{what} must be a list of {len(shapes)} series, one for each of the network's, got "
                        f"{len(arrays)} series.")
    names = [what if len(shapes) == 1 else f"{what}[{j}]" for j in range(len(shapes))]
    series = [_one(n, a, s, streams, bool(classes and classes[j]), mask, unit)
              for j, (n, a, s) in enumerate(zip(names, arrays, shapes))]
    for name, x in zip(names, series):
        if len(x) != (steps or len(series[0])):
            raise UserError(f"{name} must have as many steps as the inputs, {steps or len(series[0])}, got {len(x)}.")
    return series


def is_list_of_one(given, minimum) -> bool:
    """Whether a series stands in a list, rather than a series of one step that is a list."""
    return (
        isinstance(given, (list, tuple))
        and len(given) == 1
        and isinstance(given[0], np.ndarray)
        and given[0].ndim > minimum
    )


def _masked(array, mask):
    """0 where the mask is False, where any value is allowed, NaN too. A wrong shape is reported later."""
    if array.shape[:2] != mask.shape:
        return array
    return np.where(mask.reshape(*mask.shape, *[1] * (array.ndim - 2)), array, 0)


def _one(name, given, shape, streams, classes, mask=None, unit="stream"):
    array = as_array(name, given)
    if mask is not None:
        array = _masked(array, mask)
    lead = (streams,) if streams > 1 else ()
    positions = tuple(shape[1:]) if len(shape) == 3 else ()  # of a map, a class each
    if classes and array.ndim == 1 + len(lead) + len(positions) and array.dtype.kind in "iub":
        array = np.moveaxis(_one_hot(name, array, prod(shape) // prod(positions)), -1, 1 + len(lead))
    if streams == 1 and array.ndim == len(shape) + 2 and array.shape[1] == 1 and array.shape[2:] == tuple(shape):
        array = array[:, 0]
    wanted = (*lead, *shape)
    if array.ndim == len(lead) + 1 and shape == (1,):
        array = array[..., None]  # (steps,) of single numbers
    if array.ndim == 0 or array.shape[1:] != wanted:
        classes_too = f", or {('steps', *lead, *positions)} whole numbers of classes" if classes else ""
        last = positions and array.shape[1:] == (*lead, *positions, shape[0])
        order = f": channels come first; np.moveaxis({name}, -1, {1 + len(lead)}) brings them there" if last else ""
        shown = f"(steps, {', '.join(map(str, wanted))})"
        raise UserError(f"{name} has shape {array.shape}; it must be {shown}{classes_too}{order}.")
    if len(array) == 0:
        raise UserError(f"{name} must have a step or more, got 0 steps.")
    if positions and array.dtype == np.uint8 and array.max() > 1:  # pixels as files store them
        raise UserError(f"{name} must be images from 0 to 1, got uint8 numbers up to {array.max()}; divide them by "
                        "255.")
    array = as_float32(array, partial(_subject, name, unit if lead else None, shape), mask)
    return np.ascontiguousarray(array.reshape(len(array), streams, prod(shape)))


def _subject(name, unit, shape, position):
    """Who holds the number at `position`, (S, *shape) or (*shape), in words. unit: what one of the S is; None: there is
    one."""
    position, parts = [int(i) for i in position], []
    if unit:
        parts.append(f"{unit} {position.pop(0)}")
    if prod(shape) > 1:
        parts.append(f"feature {position[0] if len(position) == 1 else tuple(position)}")
    return f"{name}: {', '.join(parts)}" if parts else name


def _one_hot(name, classes, D):
    if classes.size and not 0 <= classes.min() <= classes.max() < D:
        raise UserError(f"{name} must be classes from 0 to {D - 1}, as the network's output, got {classes.min()} to "
                        f"{classes.max()}.")
    return np.eye(D, dtype=np.float32)[classes.astype(np.int64)]
