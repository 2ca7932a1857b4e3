"""What users hand over as a series, checked and brought to (T, S, D)."""

from math import prod

import numpy as np

from deephtm_gpu.errors import UserError


def as_series(what, given, shapes, streams, classes=None, steps=None, mask=None) -> list[np.ndarray]:
    """given: an array (T, *shape) or (T, S, *shape), or a list of as many arrays as there are shapes. classes: for each,
    whether whole numbers (T,) or (T, S) may stand for one-hot rows. mask (T, S): where it is false, 0 is taken. Returns float32 arrays (T, S, D). Raises UserError."""
    if len(shapes) > 1 and not isinstance(given, (list, tuple)):
        raise UserError(f"{what}: one {type(given).__name__} was given; the network has {len(shapes)}: give a list with one series for each.")
    arrays = [given] if len(shapes) == 1 and not is_list_of_one(given, len(shapes[0]) + (streams > 1)) else list(given)
    if len(arrays) != len(shapes):
        raise UserError(f"{what}: {len(arrays)} series were given; the network has {len(shapes)}: give a list with one for each.")
    names = [what if len(shapes) == 1 else f"{what}[{j}]" for j in range(len(shapes))]
    if mask is not None:
        arrays = [_masked(a, mask) for a in arrays]
    series = [_one(n, a, s, streams, bool(classes and classes[j]))
              for j, (n, a, s) in enumerate(zip(names, arrays, shapes))]
    for name, x in zip(names, series):
        if len(x) != (steps or len(series[0])):
            raise UserError(f"{name} has {len(x)} steps, the inputs have {steps or len(series[0])}; they must be as many.")
    return series


def is_list_of_one(given, least) -> bool:
    """Whether a series stands in a list, rather than a series of one step that is a list."""
    return isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], np.ndarray) and given[0].ndim > least


def _masked(given, mask):
    """0 where the mask is false: there may stand anything, NaN too. What does not fit is told later."""
    try:
        array = np.asarray(given)
    except ValueError:
        return given
    if array.shape[:2] != mask.shape or array.dtype.kind not in "fiub":
        return given
    return np.where(mask.reshape(*mask.shape, *[1] * (array.ndim - 2)), array, 0)


def _one(name, given, shape, streams, classes):
    try:
        array = np.asarray(given)
        if array.dtype == object or array.dtype.kind not in "fiub":
            raise TypeError
    except (ValueError, TypeError):
        raise UserError(f"{name} must be an array of numbers, (steps, {', '.join(map(str, shape))}).") from None
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
        raise UserError(f"{name} has 0 steps; give at least one.")
    with np.errstate(over="ignore"):  # what a float32 cannot hold is told below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        raise UserError(f"{name} holds {array[tuple(where)]} at step {where[0]}; fill it in or leave it out: only finite float32 numbers can be learned from.")
    return np.ascontiguousarray(array.reshape(len(array), streams, prod(shape)))


def _one_hot(name, classes, D):
    if classes.size and not 0 <= classes.min() <= classes.max() < D:
        raise UserError(f"{name} holds classes {classes.min()} to {classes.max()}; the network's output has classes 0 to {D - 1}.")
    return np.eye(D, dtype=np.float32)[classes.astype(np.int64)]
