"""The distal context of the temporal memory (MODEL: TemporalMemory, steps 4 and 6).

Two traces live on from step to step, each as a dense array and the list of its entries that are not zero: the *fast*
one leaks cell activity at every step; the *slow* one, of column activity, is clocked by surprise and stands still
while nothing surprises. What the synapses see is their entries, each trace scaled to unit norm, one behind the other:
sources 0..N-1 are cells, N..N+C-1 columns, after them what other nodes append.
"""

import math
from functools import lru_cache

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import EPSILON, Op, Pass, elements, sum_loops, turns

SMALLEST = 0.1  # an entry below this is dropped
MANY_ROWS = 16  # from which all are done at once
FORGET = 1 - math.exp(-1)  # how much of the slow trace a full surprise takes away


def context_forward(fast, fast_list, slow, slow_list, N):
    """fast (S, N), slow (S, C), their lists S x (A,) -> index S x (A,), value S x (A,), each trace to unit norm; norm
    (S, 1): what the fast one was divided by"""
    index, value, norm = [], [], np.empty((len(fast), 1), fast.dtype)
    for s in range(len(fast)):
        u, q = fast[s].take(fast_list[s]), slow[s].take(slow_list[s])
        index.append(np.concatenate([fast_list[s], slow_list[s] + N]))
        norm[s, 0] = length = math.sqrt(u.dot(u) + EPSILON)
        value.append(np.concatenate([u / length, q / math.sqrt(q.dot(q) + EPSILON)]))
    return index, value, norm


def neighbours_forward(fast, fast_list, N, X, W, around, dilation):
    """The context of a position of a map from the fast traces of its neighbourhood, around x around positions,
    `dilation` apart; outside the map is nothing.
    fast (S*X, N), its lists S*X x (A,) -> index, value S*X x (A,), index o*N + cell with
    o the neighbour's number in row order, value to unit norm over the neighbourhood."""
    numbers, cells_of, seen_by = _neighbours(len(fast) // X, X, W, around, dilation)  # (pairs,) each
    lengths = np.array([len(cells) for cells in fast_list])
    cells = np.concatenate(fast_list).astype(np.int64)
    u = fast[np.repeat(np.arange(len(fast)), lengths), cells]
    entries = lengths[cells_of]  # of each pair
    begins = (np.cumsum(lengths) - lengths)[cells_of] - (np.cumsum(entries) - entries)
    at = np.repeat(begins, entries) + np.arange(entries.sum())
    owner = np.repeat(seen_by, entries)
    norm = np.sqrt(np.bincount(owner, u[at] ** 2, len(fast)) + EPSILON)
    ends = np.cumsum(np.bincount(owner, minlength=len(fast)))[:-1]
    index = np.split(np.repeat(numbers * N, entries) + cells[at], ends)
    return index, np.split((u[at] / norm[owner]).astype(fast.dtype), ends)


@lru_cache(64)
def _neighbours(S, X, W, around, dilation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a position of S maps and a neighbour inside the map, position after position: the neighbour's number,
    where it stands, who sees it."""
    o, p = np.meshgrid(np.arange(around * around), np.arange(X))  # (X, around * around)
    row = p // W + (o // around - around // 2) * dilation
    column = p % W + (o % around - around // 2) * dilation
    inside = (row >= 0) & (row < X // W) & (column >= 0) & (column < W)
    first = X * np.repeat(np.arange(S), inside.sum())
    return tuple(np.tile(a[inside], S) + add for a, add in ((o, 0), (row * W + column, first), (p, first)))


def fast_update(cells, activity, fast, fast_list, decay, write=0.0, most=None):
    """Leak, drop what is small, add what is active by more than `write`. cells, activity (S, K*M); changes fast (S, N)
    and fast_list S x (A,), A at most `most`: what is new beyond is left out."""
    if len(cells) > MANY_ROWS:
        _fast_update_of_all(cells, activity, fast, fast_list, decay, write, most)
        return
    for s in range(len(cells)):
        kept = _leak(fast[s], fast_list[s], decay)
        active = activity[s] > write
        fast_list[s] = _add(fast[s], kept, cells[s][active], activity[s][active], most)


def _fast_update_of_all(cells, activity, fast, fast_list, decay, write, most):
    """The same without a loop over rows, such as the positions of a map."""
    row, sources = np.repeat(np.arange(len(fast)), [len(a) for a in fast_list]), np.concatenate(fast_list)
    left = fast[row, sources] * decay
    strong = left >= SMALLEST
    left[~strong] = 0
    fast[row, sources] = left
    active = activity > write
    there, new = active.nonzero()[0], cells[active]
    before = fast[there, new]
    fast[there, new] = before + activity[active]
    rows, found = np.concatenate([row[strong], there[before == 0]]), np.concatenate([sources[strong], new[before == 0]])
    lengths = np.bincount(rows, minlength=len(fast))
    lists = np.split(found[rows.argsort(kind="stable")], lengths.cumsum()[:-1])
    for s in [] if most is None else np.flatnonzero(lengths > most):
        fast[s][lists[s][most:]] = 0
        lists[s] = lists[s][:most]
    fast_list[:] = lists


def fast_update_at(cells, activity, tick, fast, fast_list, decay, write=0.0, most=None):
    """As `fast_update` in streams whose tick (S, 1) is 1; nothing in the others."""
    for s in np.flatnonzero(tick):
        stream = slice(s, s + 1)
        lists = fast_list[stream]
        fast_update(cells[stream], activity[stream], fast[stream], lists, decay, write, most)
        fast_list[s] = lists[0]


def slow_update(winners, activity, surprise, slow, slow_list, sure, most=None):
    """As `fast_update`, by as much as the step was a surprise. winners, activity (S, K), surprise (S, 1) in 0..1, which
    is none below `sure`; changes slow (S, C) and slow_list S x (A,)."""
    for s in range(len(winners)):
        p = surprise[s, 0]
        if p < sure:
            continue
        kept = _leak(slow[s], slow_list[s], 1 - FORGET * p)
        added = activity[s] * p
        strong = added > SMALLEST
        slow_list[s] = _add(slow[s], kept, winners[s][strong], added[strong], most)


def context_append_forward(x, index, value, base, D):
    """Appends a dense vector x (S, D) as sources base..base+D-1, to unit norm; changes index and value S x (A,) in
    place -> start (S, 1): where it begins in the lists, norm (S, 1)"""
    start = np.array([[len(i)] for i in index])
    norm = np.sqrt((x * x).sum(axis=1, keepdims=True) + EPSILON)  # (S, 1)
    for s in range(len(x)):
        index[s] = np.concatenate([index[s], np.arange(base, base + D)])
        value[s] = np.concatenate([value[s], x[s] / norm[s]])
    return start, norm


def context_append_sparse(pair_index, x, index, value, base, L):
    """As `context_append_forward`, for L pairs: pair_index and x (S, L)."""
    start, norm = context_append_forward(x, index, value, 0, L)
    for s in range(len(x)):
        index[s][start[s, 0]:] = base + pair_index[s]
    return start, norm


def context_append_backward(dvalue, value, start, norm, D):
    """dvalue, value S x (A,), start, norm (S, 1) -> dx (S, D), the gradient into the vector that was appended"""
    dx = np.empty((len(dvalue), D), norm.dtype)
    for s, begin in enumerate(start[:, 0]):
        d, unit = dvalue[s][begin:begin + D], value[s][begin:begin + D]
        dx[s] = (d - (d @ unit) * unit) / norm[s]
    return dx


def _leak(trace, sources, keep):
    """Scales the entries by `keep`, drops the small ones; returns the sources that are left."""
    left = trace.take(sources) * keep
    strong = left >= SMALLEST  # no entry is negative
    left[~strong] = 0
    trace[sources] = left
    return sources[strong]


def _add(trace, kept, sources, amounts, most):
    """Adds the amounts; returns the list of sources, the new ones at its end as far as there is room."""
    before = trace.take(sources)
    trace[sources] = before + amounts
    found = np.concatenate([kept, sources[before == 0]])
    if most is not None and len(found) > most:
        trace[found[most:]] = 0
        return found[:most]
    return found


def _trace(rng, S, N, A):
    """Dense traces (S, N) with A entries each, and their lists. Stream 1 has none: the empty context."""
    lists = [rng.permutation(N)[:0 if s == 1 else A] for s in range(S)]
    dense = np.zeros((S, N))
    for s, sources in enumerate(lists):
        dense[s, sources] = 0.1 + rng.random(len(sources))
    return dense, lists


def _example(rng, S, C, M, K, A, surprise=0.6, write=0.0, most=None):
    N = C * M
    fast, fast_list = _trace(rng, S, N, min(A, N))
    fast *= rng.choice([1.0, 0.05], size=fast.shape)  # what is new may be small
    slow, slow_list = _trace(rng, S, C, min(A, C))
    winners = pick(rng, S, C, K)
    cells = (winners[:, :, None] * M + np.arange(M)).reshape(S, -1)
    return {
        "fast": fast, "fast_list": fast_list, "slow": slow, "slow_list": slow_list, "winners": winners, "cells": cells,
        "cell": rng.random((S, K * M)) * (rng.random((S, K * M)) < 0.6), "activity": rng.random((S, K)),
        "tick": (np.arange(S)[:, None] != 2).astype(float), "surprise": np.full((S, 1), surprise), "sure": 0.02,
        "most": most or A + K * M, "decay": 0.8, "write": write, "N": N, "C": C, "K": K, "L": K * M,
    }


def _neighbours_example(rng, S, N, H, W, A, around, dilation):
    fast, fast_list = _trace(rng, S * H * W, N, A)
    fast_list = [sources[:rng.integers(len(sources) + 1)] for sources in fast_list]  # of different lengths
    shape = {"N": N, "X": H * W, "W": W, "around": around, "dilation": dilation}
    index, _ = neighbours_forward(fast, fast_list, **shape)
    return {"fast": fast, "fast_list": fast_list, **shape, "most": 3 + max(map(len, fast_list)),
            "room": 3 + max(map(len, index))}


def _append_example(rng, S, D, L, A):
    fast, fast_list = _trace(rng, S, 4 * A + 1, A)
    index = [np.array(sources) for sources in fast_list]
    value = [fast[s][sources] for s, sources in enumerate(fast_list)]
    norm, start = 1 + rng.random((S, 1)), np.array([[len(sources) // 2] for sources in index])
    dvalue = [rng.normal(size=len(v) + D) for v in value]
    return {
        "x": rng.normal(size=(S, D)), "pair_index": pick(rng, S, 3 * L, L), "pairs": rng.normal(size=(S, L)),
        "index": index,
        "value": value, "base": 4 * A + 1, "start": start, "norm": norm, "dvalue": dvalue,
        "unit": [np.concatenate([v, rng.normal(size=D)]) / 3 for v in value], "D": D, "L": L,
    }


def _move_loops(lanes, A, L):
    """A rank is counted in words of 32 lanes."""
    return (turns(A, lanes) + turns(L, lanes)) * (2 + turns(lanes, 32))


def _neighbour_loops(lanes, parts, S, A, X, around, **_):
    return turns(S * X, parts) * (1 + 2 * (turns(A, lanes) + 2 * around**2) + sum_loops(lanes))


def _append_loops(lanes, D=0, L=0, **_):
    return 2 * turns(D + L, lanes) + 16


CONTEXT = Op(
    name="context",
    shader="context",
    passes=(
        Pass(context_forward, reads=("fast", "fast_list", "slow", "slow_list"), writes=("index", "value", "norm"),
             consts=("N",),
             loops=lambda lanes, A, **_: 4 * turns(A, lanes) + 16),
        Pass(fast_update, reads=("cells", "cell"), changes=("fast", "fast_list"),
             consts=("decay", "write", "L", "most"), loops=lambda lanes, A, L, **_: _move_loops(lanes, A, L)),
        Pass(fast_update_at, reads=("cells", "cell", "tick"), changes=("fast", "fast_list"),
             consts=("decay", "write", "L", "most"), loops=lambda lanes, A, L, **_: _move_loops(lanes, A, L)),
        Pass(slow_update, reads=("winners", "activity", "surprise"), changes=("slow", "slow_list"),
             consts=("sure", "K", "most"),
             loops=lambda lanes, A, K, **_: _move_loops(lanes, A, K)),
    ),
    example=_example,
    sizes=tuple({"S": S, "C": C, "M": M, "K": K, "A": A, "surprise": p, "write": write, "most": most}
                for S, C, M, K, A, p, write, most in [
                    (1, 2, 1, 1, 0, 1.0, 0.0, None), (1, 256, 5, 5, 131, 1.0, 0.0, None),
                    (1, 257, 3, 67, 256, 0.5, 0.2, None), (3, 255, 2, 13, 255, 0.021, 0.5, None),
                    (2, 64, 32, 17, 600, 0.019, 0.0, None), (1, 255, 3, 131, 5, 1.0, 0.0, 67)]),
)

NEIGHBOURS = Op(
    name="neighbours",
    shader="context",
    passes=(
        # most, room: the most entries of a list of fast_list and of index, by which the shader finds the next position
        Pass(neighbours_forward, reads=("fast", "fast_list"), writes=("index", "value"),
             consts=("N", "X", "W", "around", "dilation", "most", "room"), shared=True, rows="X",
             work=lambda A, X, around, **_: X * (A + around**2), loops=_neighbour_loops),
    ),
    example=_neighbours_example,
    sizes=tuple({"S": S, "N": N, "H": H, "W": W, "A": A, "around": around, "dilation": dilation}
                for S, N, H, W, A, around, dilation in [
                    (1, 1, 1, 1, 0, 1, 1), (1, 13, 3, 5, 7, 3, 1), (3, 257, 4, 2, 255, 3, 2), (2, 7, 5, 5, 3, 5, 1),
                    (1, 5, 16, 16, 2, 3, 1)]),
)

APPEND = Op(
    name="context_append",
    shader="context",
    passes=(
        Pass(context_append_forward, reads=("x",), changes=("index", "value"), writes=("start", "norm"),
             consts=("base", "D"), loops=_append_loops),
        Pass(context_append_sparse, reads=("pair_index", "pairs"), changes=("index", "value"), writes=("start", "norm"),
             consts=("base", "L"), loops=_append_loops),
        Pass(context_append_backward, reads=("dvalue", "unit", "start", "norm"), writes=("dx",), consts=("D",),
             work=elements),
    ),
    example=_append_example,
    sizes=tuple({"S": S, "D": D, "L": L, "A": A} for S, D, L, A in [(1, 1, 1, 0), (1, 256, 5, 131), (3, 13, 257, 40)]),
)
