"""Nested dictionaries with arrays in them, split into plain data and arrays: how what stands around a model is
saved."""

import numpy as np


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
