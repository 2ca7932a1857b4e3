"""Matrix product whose input is a list of (index, value) pairs: only the rows of those inputs are read.

Weights are held transposed, (N, O): one row per input, so that a step costs what its winners cost.
A pair whose value is 0 (a silent cell) costs nothing and gets no gradient.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, lanes_for, turns


def sparse_linear_forward(index, value, weight, bias):
    """index, value (S, L), weight (N, O), bias (O,) -> y (S, O)"""
    y = np.empty((len(value), weight.shape[1]), weight.dtype)  # (S, O)
    for s, active in enumerate(value != 0):
        np.add(value[s][active].dot(weight.take(index[s][active], axis=0)), bias, out=y[s])
    return y


def sparse_linear_backward(dy, index, value, weight):
    """dy (S, O), index, value (S, L), weight (N, O) -> dvalue (S, L)"""
    dvalue = np.zeros(value.shape, value.dtype)  # (S, L)
    for s, active in enumerate(value != 0):
        dvalue[s][active] = weight.take(index[s][active], axis=0).dot(dy[s])
    return dvalue


def rows_forward(x, index, weight, bias):
    """A dense product of which only L outputs are needed.

    x (S, I), index (S, L), weight (O, I), bias (O,) -> y (S, L), y[l] = weight[index[l]] . x + bias[index[l]]
    """
    first = index[0]
    if len(x) > 1 and (index == first).all():  # many guesses at what explains one sensation ask for the same outputs
        return x.dot(weight.take(first, axis=0).T) + bias.take(first)
    y = bias.take(index)  # (S, L)
    for s, row in enumerate(index):
        y[s] += weight.take(row, axis=0).dot(x[s])
    return y


def rows_backward(dy, index, weight):
    """Gradient into the dense input of a product of which only L outputs were used (of `rows_forward`, or the pooler's
    K winners and runner-up).

    dy (S, L), index (S, L), weight (O, I) -> dx (S, I) = sum_l dy[l] * weight[index[l]]
    """
    if len(dy) > 1 and (index == index[0]).all():  # see rows_forward
        return dy.dot(weight.take(index[0], axis=0))
    dx = np.empty((len(dy), weight.shape[1]), weight.dtype)  # (S, I)
    for s in range(len(dy)):
        dy[s].dot(weight.take(index[s], axis=0), out=dx[s])
    return dx


def pick(rng, S, N, L):
    """S lists of L different numbers below N, (S, L)."""
    return np.stack([rng.permutation(N)[:L] for _ in range(S)])


def by_rows(lanes, L, items):
    """Loop iterations where L rows stand side by side, and the lanes left over share the items of each."""
    at_once = lanes_for(L, lanes)
    return turns(L, at_once) * (turns(items, lanes // at_once) + 8)


def _example(rng, S, N, L, O, nan=False):
    value = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.7)
    if nan:
        value[0, 0] = np.nan  # must come through: it is how learning that has left its bounds is seen
    return {
        "index": pick(rng, S, N, L), "value": value, "weight": rng.normal(size=(N, O)),
        "bias": rng.normal(size=O), "dy": rng.normal(size=(S, O)), "L": L, "O": O,
    }


def _rows_loops(lanes, L, I, **_):
    at_once = lanes_for(turns(L, 4), lanes)
    return turns(L, 4 * at_once) * (turns(turns(I, 4), lanes // at_once) + 24)


def _rows_example(rng, S, I, L, O, shared=False, nan=False):
    index, x = pick(rng, S, O, L), rng.normal(size=(S, I))
    if shared:
        index[:] = index[0]
    if nan:
        x[0, 0] = np.nan
    return {"x": x, "index": index, "dy": rng.normal(size=(S, L)), "weight": rng.normal(size=(O, I)),
            "bias": rng.normal(size=O),
            "L": L, "I": I}


SPARSE_LINEAR = Op(
    name="sparse_linear",
    shader="sparse_linear",
    matrices=("weight",),
    params=("bias",),
    passes=(
        Pass(sparse_linear_forward, reads=("index", "value", "weight", "bias"), writes=("y",), consts=("L", "O"),
             work=lambda L, O: L * O, loops=lambda lanes, L, O, **_: turns(turns(O, 4), lanes) * (L + 5)),
        Pass(sparse_linear_backward, reads=("dy", "index", "value", "weight"), writes=("dvalue",), consts=("L", "O"),
             work=lambda L, O: L * O, loops=lambda lanes, L, O, **_: by_rows(lanes, L, turns(O, 4))),
    ),
    example=_example,
    sizes=tuple({"S": S, "N": N, "L": L, "O": O, "nan": nan} for S, N, L, O, nan in [
        (1, 1, 1, 1, False), (1, 2, 1, 3, False), (1, 1280, 25, 256, False), (1, 257, 256, 255, False),
        (3, 300, 37, 257, False),
        (2, 64, 64, 1, False), (2, 13, 5, 7, True)]),
)

ROWS = Op(
    name="rows",
    shader="sparse_linear",
    matrices=("weight",),
    params=("bias",),
    passes=(
        Pass(rows_forward, reads=("x", "index", "weight", "bias"), writes=("y",), consts=("L", "I"),
             work=lambda L, I: L * I, loops=_rows_loops),
        Pass(rows_backward, reads=("dy", "index", "weight"), writes=("dx",), consts=("L", "I"),
             work=lambda L, I: L * I, loops=lambda lanes, L, I, **_: turns(turns(I, 4), lanes) * (L + 5)),
    ),
    example=_rows_example,
    sizes=tuple({"S": S, "I": I, "L": L, "O": O, "shared": shared, "nan": nan} for S, I, L, O, shared, nan in [
        (1, 1, 2, 2, False, False), (1, 256, 6, 256, False, False), (1, 255, 11, 257, False, False),
        (4, 257, 2, 13, False, False),
        (1, 250, 160, 163, False, False), (3, 67, 35, 37, True, False), (2, 5, 7, 11, False, True)]),
)
