"""A transposed convolution of (index, value) pairs: only the windows of active columns or cells are laid onto the map.

Weights (N, side*side*I), a row for each cell: what a cell paints. A pair whose value is 0 costs nothing and gets no
gradient. The letters are those of `conv.py`: pairs stand at the Y positions of the coarse map.
"""

import numpy as np

from deephtm_gpu.ops.conv import WINDOW, WINDOW_STRUCT, fold, unfold
from deephtm_gpu.ops.gradient import by_stream, look_loops
from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass, turns


def sparse_transposed_forward(index, value, weight, bias, L, I, **window):
    """index, value (S*Y, L), weight (N, side*side*I), bias (I,) -> y (S*X, I)"""
    cells, dense = _active(index, value)  # (U,), (S*Y, U)
    y = fold(dense.dot(weight[cells]), **window)
    y += bias
    return y


def sparse_transposed_backward(dy, index, value, weight, L, I, **window):
    """dy (S*X, I), index, value (S*Y, L), weight (N, side*side*I) -> dvalue (S*Y, L)"""
    cells = np.unique(index[value != 0])  # (U,)
    if not len(cells):
        return np.zeros_like(value)
    dcells = unfold(dy, **window).dot(weight[cells].T)  # (S*Y, U)
    at = np.searchsorted(cells, index).clip(0, len(cells) - 1)
    return np.where(value != 0, np.take_along_axis(dcells, at, axis=1), 0).astype(value.dtype)


def sparse_transposed_gradient(index, value, dy, gradient, touched, L, I, N, **window):
    """index, value (S*Y, L), dy (S*X, I); adds to gradient (S, N, side*side*I), and marks the rows in touched (S, N)"""
    Y, windows = window["Y"], by_stream(unfold(dy, **window), window["Y"])
    for s, (i, v) in enumerate(zip(by_stream(index, Y), by_stream(value, Y))):
        cells, dense = _active(i, v)
        gradient[s][cells] += dense.T.dot(windows[s])
        touched[s][cells] = 1


def _active(index, value):
    """-> the cells with a value that is not 0 (U,), and the values as columns of these (rows, U)"""
    there = value != 0
    cells, at = np.unique(index[there], return_inverse=True)
    dense = np.zeros((len(value), len(cells)), value.dtype)
    dense[there.nonzero()[0], at] = value[there]
    return cells, dense


def _loops(items):
    """items: (loop turns of an item, **sizes)"""
    return lambda lanes, parts, S, **sizes: turns(S * items(**sizes)[0], lanes * parts) * items(**sizes)[1]


def _forward_items(X, I, side, stride, L, **_):
    reach = turns(side, stride)
    return X * turns(I, 8), 9 + reach * (1 + reach * (1 + L))


def _backward_items(Y, L, I, side, **_):
    return Y * L, 1 + side * (1 + side * (1 + I))


def _gradient_loops(lanes, parts, S, Y, L, N, I, side, **_):
    owned = max(1, parts // S)
    hits = Y * min(L, turns(N, owned))
    return turns(S * owned, parts) * (1 + look_loops(lanes, Y * L) + hits * (1 + side * (1 + turns(side * I, lanes))))


def _work(Y, L, I, side, **_):
    return Y * L * side * side * I


def _example(rng, S, N, L, I, H, W, side, stride, nan=False):
    X, Y = H * stride * W * stride, H * W
    value = rng.normal(size=(S * Y, L)) * (rng.random((S * Y, L)) < 0.6)
    if nan:
        value[0, 0] = np.nan
    J = side * side * I
    return {"index": pick(rng, S * Y, N, L), "value": value, "weight": rng.normal(size=(N, J)),
            "bias": rng.normal(size=I), "dy": rng.normal(size=(S * X, I)), "gradient": rng.normal(size=(S, N, J)),
            "touched": np.floor(1.3 * rng.random((S, N))), "L": L, "I": I, "N": N, "X": X, "W": W * stride, "Y": Y,
            "V": W, "side": side, "stride": stride, "pad": (side - stride) // 2}


_CONSTS, _SHARED = ("L", "I", *WINDOW), {"structs": (WINDOW_STRUCT,), "shared": True, "work": _work}

SPARSE_TRANSPOSED = Op(
    name="sparse_transposed", shader="sparse_transposed", example=_example, matrices=("weight",), params=("bias",),
    passes=(
        Pass(sparse_transposed_forward, reads=("index", "value", "weight", "bias"), writes=("y",), consts=_CONSTS,
             rows="X", loops=_loops(_forward_items), **_SHARED),
        Pass(sparse_transposed_backward, reads=("dy", "index", "value", "weight"), writes=("dvalue",), consts=_CONSTS,
             rows="Y", loops=_loops(_backward_items), **_SHARED),
        Pass(sparse_transposed_gradient, reads=("index", "value", "dy"), changes=("gradient", "touched"),
             consts=("L", "I", "N", *WINDOW), rows="N", loops=_gradient_loops, **_SHARED),
    ),
    sizes=tuple(dict(zip(("S", "N", "L", "I", "H", "W", "side", "stride", "nan"), size)) for size in [
        (1, 1, 1, 1, 1, 1, 1, 1, False), (1, 37, 7, 3, 5, 4, 4, 2, False), (3, 257, 24, 8, 3, 4, 6, 2, False),
        (2, 11, 5, 13, 3, 2, 5, 3, False), (1, 13, 5, 257, 2, 1, 2, 1, False), (1, 128, 24, 8, 4, 4, 6, 2, True),
        (1, 29, 5, 4, 5, 6, 3, 2, False), (2, 31, 7, 20, 4, 5, 5, 2, True)]),
)
