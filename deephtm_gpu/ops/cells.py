"""The cells of the winning columns, and the gate that chooses among them (MODEL: TemporalMemory, steps 4 and 5).

entmax of order 1.5 (Peters, Niculae & Martins 2019, "Sparse Sequence-to-Sequence Models") over the M cells of a column:
a depolarised cell wins and the others are exactly 0; where all are alike, every cell gets 1/M: the column bursts.
"""

from functools import cache

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass, turns


def cells_forward(winners, M):
    """winners (S, K) -> cells (S, K*M), cell i of column c has index c*M + i"""
    return (winners[:, :, None] * M + np.arange(M)).reshape(len(winners), -1)


def gate_forward(depolarisation, activity, K, M):
    """depolarisation (S, K*M), activity (S, K) -> cell activity (S, K*M), root (S, K*M): the gate is root squared"""
    S = len(activity)
    root = _entmax_root(depolarisation.reshape(S * K, M)).reshape(S, K, M)
    return (activity[:, :, None] * root * root).reshape(S, K * M), root.reshape(S, K * M)


def gate_backward(dcell, root, activity, K, M):
    """dcell, root (S, K*M), activity (S, K) -> ddepolarisation (S, K*M), dactivity (S, K)"""
    S = len(activity)
    dcell, root = dcell.reshape(S, K, M), root.reshape(S, K, M)
    weighted = dcell * root  # (S, K, M)
    total = np.add.reduce(root, axis=2, keepdims=True)  # (S, K, 1), 1 or more; 0 for a step that never was
    mean = np.add.reduce(weighted, axis=2, keepdims=True) / np.maximum(total, 1)  # (S, K, 1)
    ddepolarisation = activity[:, :, None] * (weighted - mean * root)
    return ddepolarisation.reshape(S, K * M), np.add.reduce(weighted * root, axis=2)


def _entmax_root(z):
    """z (R, M) -> r (R, M) >= 0 with the rows of r*r summing to 1.

    The threshold is found as in the paper's algorithm 2: sort, try every size of the support, keep the last that holds.
    """
    share = _shares(z.shape[1], z.dtype.char)  # (M,)
    x = z * 0.5  # (R, M)
    y = np.sort(x, axis=1)[:, ::-1]  # (R, M), largest first
    x, y = x - y[:, :1], y - y[:, :1]
    mean = np.add.accumulate(y, axis=1) * share  # (R, M)
    variance = np.add.accumulate(y * y, axis=1) * share - mean * mean  # (R, M)
    threshold = mean - np.sqrt(np.maximum(share - variance, 0))  # (R, M)
    # (R, M); they rise with the support, from -1 for one cell, which always holds
    holds = np.where(threshold <= y, threshold, -1)
    return np.maximum(x - np.maximum.reduce(holds, axis=1, keepdims=True), 0)


@cache
def _shares(M, kind):
    """The share 1/k of each cell in a support of k = 1..M cells (M,)."""
    return (1 / np.arange(1, M + 1)).astype(kind)


def _cells_example(rng, S, C, K, M):
    return {"winners": pick(rng, S, C, K), "K": K, "M": M}


def _gate_example(rng, S, K, M, spread=2.0):
    z, activity = spread * rng.normal(size=(S, K * M)), rng.random((S, K))
    _, root = gate_forward(z, activity, K, M)
    return {"depolarisation": z, "activity": activity, "root": root, "dcell": rng.normal(size=(S, K * M)), "K": K,
            "M": M}


CELLS = Op(
    name="cells",
    shader="cells",
    passes=(Pass(cells_forward, reads=("winners",), writes=("cells",), consts=("K", "M"), work=lambda K, M: K * M),),
    example=_cells_example,
    sizes=tuple({"S": S, "C": C, "K": K, "M": M} for S, C, K, M in [(1, 2, 1, 1), (1, 256, 5, 5), (3, 257, 67, 32)]),
    tolerance=0.0,
)

GATE = Op(
    name="gate",
    shader="gate",
    passes=(
        Pass(gate_forward, reads=("depolarisation", "activity"), writes=("cell", "root"), consts=("K", "M"),
             loops=lambda lanes, K, M, **_: turns(K, lanes) * M * (M + 3)),
        Pass(gate_backward, reads=("dcell", "root", "activity"), writes=("ddepolarisation", "dactivity"),
             consts=("K", "M"), loops=lambda lanes, K, M, **_: turns(K, lanes) * (1 + 2 * M)),
    ),
    example=_gate_example,
    sizes=tuple({"S": S, "K": K, "M": M, "spread": spread} for S, K, M, spread in [
        (1, 1, 1, 1.0), (1, 5, 5, 2.0), (1, 10, 5, 0.0), (1, 255, 3, 0.1), (2, 257, 2, 10.0), (3, 13, 32, 1.0),
        (1, 7, 31, 0.01),
        (1, 64, 128, 0.0)]),
)
