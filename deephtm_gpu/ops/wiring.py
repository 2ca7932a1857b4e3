"""Ops that only move numbers: what a graph needs besides its layers."""

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass, elements


def copy_forward(x):
    """x (S, D) -> y (S, D)"""
    return x.copy()


def copy_index(x):
    """x (S, L) indices -> y (S, L)"""
    return x.copy()


def number_forward(index):
    """index (S, D), whole numbers below 2^24 -> y (S, D), the same as floats: what is reported of a row is floats"""
    return index.astype(np.float32)


def index_forward(numbers):
    """numbers (S, D), whole numbers as floats -> index (S, D), the same as indices"""
    return numbers.astype(np.int64)


def keep_update(x, kept, D):
    """Changes kept (S, D) to x (S, D): what `previous` will give in the next step."""
    kept[...] = x


def keep_index(x, kept, D):
    """Changes kept (S, L) to x (S, L), for indices."""
    kept[...] = x


def add_forward(a, b):
    """a, b (S, D) -> y (S, D)"""
    return a + b


def scale_forward(x, by):
    """x (S, D), by a number -> y (S, D)"""
    return x * by


def concat_forward(a, c):
    """a (S, D), c (S, I) -> y (S, D+I)"""
    return np.concatenate([a, c], axis=1)


def concat_backward(dy, D, I):
    """dy (S, D+I) -> da (S, D), db (S, I)"""
    return dy[:, :D], dy[:, D:]


def dense_forward(index, value, D):
    """index, value (S, L) -> y (S, D), the pairs as a dense vector"""
    y = np.zeros((len(value), D), value.dtype)
    np.put_along_axis(y, index, value, axis=1)
    return y


def dense_backward(dy, index):
    """dy (S, D), index (S, L) -> dvalue (S, L)"""
    return np.take_along_axis(dy, index, axis=1)


def _example(rng, S, D, I):
    return {"x": rng.normal(size=(S, D)), "index": pick(rng, S, D, D), "a": rng.normal(size=(S, D)),
            "b": rng.normal(size=(S, D)), "c": rng.normal(size=(S, I)),
            "dy": rng.normal(size=(S, D + I)), "by": 0.3, "numbers": pick(rng, S, D, D).astype(float),
            "kept": rng.normal(size=(S, D)), "kept_index": pick(rng, S, D, D),
            "D": D, "I": I}


def _dense_example(rng, S, D, L):
    return {"index": pick(rng, S, D, L), "value": rng.normal(size=(S, L)), "dy": rng.normal(size=(S, D)), "D": D,
            "L": L}


WIRING = Op(
    name="wiring", shader="wiring", example=_example, tolerance=1e-10,
    passes=(
        Pass(copy_forward, reads=("x",), writes=("y",), consts=("D",), work=elements),
        Pass(copy_index, reads=("index",), writes=("y",), consts=("D",), work=elements),
        Pass(number_forward, reads=("index",), writes=("y",), consts=("D",), work=elements),
        Pass(index_forward, reads=("numbers",), writes=("index",), consts=("D",), work=elements),
        Pass(keep_update, reads=("x",), changes=("kept",), consts=("D",), work=elements),
        Pass(keep_index, reads=("index",), changes=("kept_index",), consts=("D",), work=elements),
        Pass(add_forward, reads=("a", "b"), writes=("y",), consts=("D",), work=elements),
        Pass(scale_forward, reads=("x",), writes=("y",), consts=("by", "D"), work=elements),
        Pass(concat_forward, reads=("a", "c"), writes=("y",), consts=("D", "I"), work=elements),
        Pass(concat_backward, reads=("dy",), writes=("da", "db"), consts=("D", "I"), work=elements),
    ),
    sizes=tuple({"S": S, "D": D, "I": I} for S, D, I in [(1, 1, 1), (1, 255, 2), (3, 257, 256)]),
)

DENSE = Op(
    name="dense", shader="wiring", example=_dense_example, tolerance=1e-10,
    passes=(
        Pass(dense_forward, reads=("index", "value"), writes=("y",), consts=("D", "L"), work=elements),
        Pass(dense_backward, reads=("dy", "index"), writes=("dvalue",), consts=("L",), work=elements),
    ),
    sizes=tuple({"S": S, "D": D, "L": L} for S, D, L in [(1, 1, 1), (1, 1280, 25), (3, 257, 256)]),
)
