"""Deferred credit: the temporal memory's own past steps learn from what they were good for later (MODEL: "Deferred
credit").

A ring holds the last T steps of a stream: the cells of each, and the gradient gathered for them so far. When a step is
learned from, the gradient into its fast context goes to the cells that made that context: what was active j steps
before stands in it, leaked j - 1 times. A step leaves the ring with all that it will ever get, and then gives its one
update of the distal weights. This is the exact gradient through one hop of the distal weights and any number of steps
down the leak, cut at T; the leak's part is the eligibility trace of e-prop (Bellec et al. 2020). The work is T*K*M
multiply-adds and one pass over the context, however long the series is.

Step number t is at place t mod T. Places that no step has taken yet hold cell number N, which nothing gives credit to.
"""

from functools import cache

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass, turns


def credit_backward(dvalue, index, value, norm, cells, dcell, t, reach, ring_cells, ring_credit, decay, N, T, L):
    """Deals out the gradient of the newest step's context, then puts the newest step into the ring.

    dvalue, index, value S x (A,): the context, cells at sources 0..N-1, and its gradient; norm (S, 1): of its cell part
    before it was scaled; cells, dcell (S, L): of the newest step, number t. Changes ring_cells, ring_credit (S, T*L);
    reach (S, N+1): all 0 before and after, here the gradient into every cell of the context.
    """
    slot = int(t) % T
    leaked = _leaked(T, slot, decay, reach.dtype.char)  # (T, 1)
    for s in range(len(reach)):
        fast = index[s] < N
        sources, d, unit = index[s][fast], dvalue[s][fast], value[s][fast]
        reach[s, sources] = (d - d.dot(unit) * unit) / norm[s, 0]
        ring, credit = ring_cells[s].reshape(T, L), ring_credit[s].reshape(T, L)
        credit += leaked * reach[s].take(ring)
        reach[s, sources] = 0
        ring[slot], credit[slot] = cells[s], dcell[s]


def credit_leave(t, ring_credit, T, L):
    """The gradient (S, L) of the step that leaves the ring, number t - T + 1; changes ring_credit (S, T*L), where it
    becomes 0."""
    begin = (int(t) + 1) % T * L
    credit = ring_credit[:, begin:begin + L]
    left = credit.copy()
    credit[...] = 0
    return left


@cache
def _leaked(T, slot, decay, kind):
    """By place in the ring: how much of the step there is left in the context of the step at `slot`. (T, 1)"""
    age = (slot - np.arange(T)) % T
    return np.where(age == 0, 0, decay ** np.maximum(age - 1, 0)).astype(kind)[:, None]


def _example(rng, S, N, T, L, A, fill):
    """fill: how much of the ring is taken. Stream 1 has no context."""
    index, value, dvalue = [], [], []
    for s in range(S):
        sources = rng.permutation(N + 7)[:0 if s == 1 else A]  # some belong to columns, which come after the cells
        sources = np.concatenate([sources[sources < N], sources[sources >= N]])
        index.append(sources)
        value.append(rng.normal(size=len(sources)))
        dvalue.append(rng.normal(size=len(sources)))
    ring = np.stack([pick(rng, T, N, L) for _ in range(S)])  # (S, T, L)
    ring[:, rng.random(T) >= fill] = N
    return {
        "dvalue": dvalue, "index": index, "value": value, "norm": 1 + rng.random((S, 1)), "cells": pick(rng, S, N, L),
        "dcell": rng.normal(size=(S, L)), "t": int(rng.integers(2**31)), "reach": np.zeros((S, N + 1)),
        "ring_cells": ring.reshape(S, T * L), "ring_credit": rng.normal(size=(S, T * L)), "decay": 0.8, "N": N, "T": T,
        "L": L,
    }


CREDIT = Op(
    name="credit",
    shader="credit",
    example=_example,
    passes=(
        Pass(
            credit_backward,
            reads=("dvalue", "index", "value", "norm", "cells", "dcell", "t"),
            changes=("reach", "ring_cells", "ring_credit"),
            consts=("decay", "N", "T", "L"),
            work=lambda N, T, L, **_: T * L,
            loops=lambda lanes, A, T, L, **_: 3 * turns(A, lanes) + (T + 1) * (1 + turns(L, lanes)) + 8,
        ),
        Pass(
            credit_leave,
            reads=("t",),
            changes=("ring_credit",),
            writes=("dcell_left",),
            consts=("T", "L"),
            work=lambda L, **_: L,
        ),
    ),
    sizes=tuple(
        {"S": S, "N": N, "T": T, "L": L, "A": A, "fill": fill}
        for S, N, T, L, A, fill in [
            (1, 1, 2, 1, 1, 1.0),
            (1, 1280, 16, 25, 131, 1.0),
            (3, 257, 8, 13, 256, 0.5),
            (2, 640, 2, 255, 0, 1.0),
            (1, 67, 31, 5, 40, 0.3),
        ]
    ),
)
