"""Nested dictionaries with arrays in them, split into plain data and arrays: how what stands around a model is
saved."""

import numpy as np

from deephtm_gpu.arguments import shown

MOST = 2**53  # of what is counted


def split(tree, name: str) -> tuple[object, dict[str, np.ndarray]]:
    """tree: dictionaries and lists of numbers, texts, None and arrays. Returns the same with names in place of the
    arrays, which begin with `name`, and the arrays by these names."""
    if isinstance(tree, np.ndarray):
        return {"array": name}, {name: tree}
    if isinstance(tree, dict):
        parts = {key: split(value, f"{name}.{key}") for key, value in tree.items()}
        plain = {"tree": {key: part for key, (part, _) in parts.items()}}
        return plain, {n: a for _, arrays in parts.values() for n, a in arrays.items()}
    return tree, {}


def join(plain, arrays: dict[str, np.ndarray]):
    """The inverse of `split`."""
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        return arrays[plain["array"]]
    return {key: join(value, arrays) for key, value in plain["tree"].items()}


# What `restore` takes out of such a state: each raises ValueError where it is something else, as a file can hold
# anything.


def count_in(state, name: str, most: int = MOST) -> int:
    value = state[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most:,}, got {shown(value)}")
    return value


def number_in(state, name: str) -> float:
    value = state[name]
    if type(value) not in (int, float):
        raise ValueError(f"{name} must be a number, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number of 64 bits, got {shown(value)}") from None


def array_in(state, name: str, shape: tuple[int | None, ...], kind=np.float64) -> np.ndarray:
    """shape: None stands for any length."""
    value = state[name]
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} must be an array, got {shown(value)}")
    if value.dtype != kind or value.ndim != len(shape) or any(s not in (None, n) for s, n in zip(shape, value.shape)):
        raise ValueError(f"{name} must be {np.dtype(kind)} {shape}, got {value.dtype} {value.shape}")
    return value
