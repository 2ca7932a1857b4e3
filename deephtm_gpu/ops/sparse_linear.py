"""Matrix product whose input is a list of (index, value) pairs: only the rows of those inputs are read.

Weights are held transposed, (N, O): one row per input, so that a step costs what its winners cost.
A pair whose value is 0 (a silent cell) costs nothing and gets no gradient.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass


def sparse_linear_forward(index, value, weight, bias):
    """index, value (S, L), weight (N, O), bias (O,) -> y (S, O)"""
    y = np.empty((len(value), weight.shape[1]), weight.dtype)  # (S, O)
    for s, active in enumerate(value != 0):
        y[s] = value[s][active] @ weight[index[s][active]] + bias
    return y


def sparse_linear_backward(dy, index, value, weight):
    """dy (S, O), index, value (S, L), weight (N, O) -> dvalue (S, L)"""
    dvalue = np.zeros_like(value)  # (S, L)
    for s, active in enumerate(value != 0):
        dvalue[s][active] = weight[index[s][active]] @ dy[s]
    return dvalue


def rows_backward(dy, index, weight):
    """Gradient into the dense input of a product of which only L outputs were used (the pooler's K winners and runner-up).

    dy (S, L), index (S, L), weight (O, I) -> dx (S, I) = sum_l dy[l] * weight[index[l]]
    """
    dx = np.empty((len(dy), weight.shape[1]), weight.dtype)  # (S, I)
    for s in range(len(dy)):
        dx[s] = dy[s] @ weight[index[s]]
    return dx


def pick(rng, S, N, L):
    """S lists of L different numbers below N, (S, L)."""
    return np.stack([rng.permutation(N)[:L] for _ in range(S)])


def _example(rng, S, N, L, O, nan=False):
    value = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.7)
    if nan:
        value[0, 0] = np.nan  # must come through: it is how learning that has left its bounds is seen
    return {
        "index": pick(rng, S, N, L), "value": value, "weight": rng.normal(size=(N, O)),
        "bias": rng.normal(size=O), "dy": rng.normal(size=(S, O)), "L": L, "O": O,
    }


def _rows_example(rng, S, I, L, O):
    return {"index": pick(rng, S, O, L), "dy": rng.normal(size=(S, L)), "weight": rng.normal(size=(O, I)), "L": L, "I": I}


SPARSE_LINEAR = Op(
    name="sparse_linear",
    shader="sparse_linear",
    matrices=("weight",),
    params=("bias",),
    passes=(
        Pass(sparse_linear_forward, reads=("index", "value", "weight", "bias"), writes=("y",), consts=("L", "O"),
             work=lambda L, O: L * O),
        Pass(sparse_linear_backward, reads=("dy", "index", "value", "weight"), writes=("dvalue",), consts=("L", "O"),
             work=lambda L, O: L * O),
    ),
    example=_example,
    sizes=tuple({"S": S, "N": N, "L": L, "O": O, "nan": nan} for S, N, L, O, nan in [
        (1, 1, 1, 1, False), (1, 2, 1, 3, False), (1, 1280, 25, 256, False), (1, 257, 256, 255, False), (3, 300, 37, 257, False),
        (2, 64, 64, 1, False), (2, 13, 5, 7, True)]),
)

ROWS = Op(
    name="rows",
    shader="sparse_linear",
    matrices=("weight",),
    params=(),
    passes=(
        Pass(rows_backward, reads=("dy", "index", "weight"), writes=("dx",), consts=("L", "I"),
             work=lambda L, I: L * I),
    ),
    example=_rows_example,
    sizes=tuple({"S": S, "I": I, "L": L, "O": O} for S, I, L, O in
                [(1, 1, 2, 2), (1, 256, 6, 256), (1, 255, 11, 257), (4, 257, 2, 13)]),
)
