"""Distal synapses: rows of a wide matrix (N cells or C columns, P presynaptic sources), read only where row is a
winner's and column is in the context (MODEL: TemporalMemory, step 4, and the head that predicts columns).

A context is ragged: per stream a list of A sources, `index`, and their activity, `value`.
"""

import numpy as np

from deephtm_gpu.ops.rule import RULE, RULE_STRUCT, descend_at, parameter_struct, plain
from deephtm_gpu.ops.sparse_linear import by_rows, pick
from deephtm_gpu.ops.spec import Op, Pass, mark_loops, rows_at_once, turns
from deephtm_gpu.ops.update import count_touched, memory_example, rule_example, total_factors, touched_rows


def synapse_forward(rows, index, value, weight, bias):
    """rows (S, L), index and value S x (A,), weight (N, P), bias (N,) -> depolarisation (S, L)"""
    flat, P = weight.reshape(-1), weight.shape[1]
    depolarisation = bias.take(rows)  # (S, L)
    for s, row in enumerate(rows):
        depolarisation[s] += flat.take(row[:, None] * P + index[s]).dot(value[s])
    return depolarisation


def synapse_backward(ddepolarisation, rows, index, weight):
    """ddepolarisation (S, L), rows (S, L), index S x (A,), weight (N, P) -> dvalue S x (A,)"""
    flat, P, dvalue = weight.reshape(-1), weight.shape[1], []
    for d, row, sources in zip(ddepolarisation, rows, index):
        active = d != 0
        dvalue.append(d[active].dot(flat.take(row[active][:, None] * P + sources)))
    return dvalue


def synapse_update(
    rows,
    left,
    index,
    value,
    coef,
    rate,
    weight,
    bias,
    moment,
    power,
    count,
    bias_moment,
    bias_power,
    total,
    scale,
    bias_scale,
    P,
    **rule,
):
    """The gradient's step, on the touched entries alone, by the rule of `rule.py`: the gradient is sum_s coef * left x
    value.

    rows, left (S, L), no row twice in a stream with left != 0; index, value S x (A,); coef (S, 1); changes weight,
    moment, power (N, P), and bias, bias_moment, bias_power (N,), these at rate * bias_scale; count (N,). total (N, P):
    where the shader adds streams up; all 0 before and after.
    """
    touched, factors = touched_rows(rows, coef * left)  # (R,), (R, S)
    k = count_touched(count, touched, rule)  # (R, 1)
    if len(rows) == 1:
        index, value = index[0], value[0]  # (A,)
        if not plain(rule):  # a gradient of 0 moves nothing, but a moment would
            there = value != 0
            index, value = index[there], value[there]
        sources = touched[:, None] * P + index  # (R, A)
        gradient = factors * value
        k_there = k
    else:
        sources, gradient = add_up(*_touched_entries(touched, factors, index, value, P))
        k_there = k if isinstance(k, int) else k[np.searchsorted(touched, sources // P), 0]
    flat = [m.reshape(-1) if isinstance(m, np.ndarray) else m for m in (weight, moment, power)]
    descend_at(*flat, sources, gradient, rate * scale, k_there, **rule)
    k = k[:, 0] if isinstance(k, np.ndarray) else k
    descend_at(bias, bias_moment, bias_power, touched, total_factors(factors), rate * bias_scale, k, **rule)


def _touched_entries(touched, factors, index, value, P):
    """-> the entries that each stream touches, as sources in the flat matrix, S x (E,), and its part of their
    gradients, S x (E,)"""
    sources, parts = [], []
    for s, (i, v) in enumerate(zip(index, value)):
        mine, there = factors[:, s] != 0, v != 0
        sources.append((touched[mine][:, None] * P + i[there]).reshape(-1))
        parts.append((factors[mine, s][:, None] * v[there]).reshape(-1))
    return sources, parts


def add_up(sources, parts):
    """What streams contribute, S x (E,), at sources S x (E,) -> the sources, each once and in order (E,), and the sums
    (E,)"""
    kind = parts[0].dtype
    sources, inverse = np.unique(np.concatenate(sources), return_inverse=True)
    return sources, np.bincount(inverse, np.concatenate(parts), len(sources)).astype(kind)


def ragged(rng, S, P, A):
    """S contexts of at most A of P sources: index and value lists. Stream 1 has none: the empty context."""
    sizes = [0 if s == 1 else A for s in range(S)]
    return [np.sort(rng.permutation(P)[:n]) for n in sizes], [rng.normal(size=n) for n in sizes]


def _example(rng, S, N, P, L, A, rule="sgd"):
    index, value = ragged(rng, S, P, A)
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.6)
    return {
        "rows": pick(rng, S, N, L), "index": index, "value": value, "weight": rng.normal(size=(N, P)),
        "bias": rng.normal(size=N), "ddepolarisation": rng.normal(size=(S, L)), "left": left,
        "coef": rng.random((S, 1)), "rate": 0.37, "scale": 0.5, "bias_scale": 0.1, **rule_example(rule),
        **memory_example(rng, (N, P), N), "bias_moment": rng.normal(size=N), "bias_power": rng.random(N),
        "total": np.zeros((N, P)), "L": L, "N": N, "P": P,
    }


def _update_loops(lanes, parts, S, A, L, N, **_):
    if S == 1:
        return turns(L, parts) * (1 + turns(A, 2 * lanes)) + turns(L, lanes * parts)
    share, rows, (look, looks) = turns(N, parts), rows_at_once(S), mark_loops(lanes, S, L)
    words = looks * turns(1024 // rows, 32)
    adding = rows * (1 + looks + 2 * words) + S * min(rows, share, L) * (1 + turns(A, lanes))
    return turns(share, rows) * (1 + 2 * (looks * (1 + look) + adding) + turns(rows, lanes))


STRUCTS = (parameter_struct("weight"), parameter_struct("bias", "bias_scale", "bias_"), RULE_STRUCT)

SYNAPSE = Op(
    name="synapse",
    shader="synapse",
    matrices=(),
    params=("weight", "bias", "moment", "power", "count", "bias_moment", "bias_power", "total"),
    passes=(
        Pass(
            synapse_forward,
            reads=("rows", "index", "value", "weight", "bias"),
            writes=("depolarisation",),
            consts=("L", "P"),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, A, L, **_: by_rows(lanes, L, turns(A, 2)),
        ),
        Pass(
            synapse_backward,
            reads=("ddepolarisation", "rows", "index", "weight"),
            writes=("dvalue",),
            consts=("L", "P"),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, A, L, **_: turns(A, lanes) * (L + 1),
        ),
        Pass(
            synapse_update,
            reads=("rows", "left", "index", "value", "coef", "rate"),
            changes=("weight", "bias", "moment", "power", "count", "bias_moment", "bias_power", "total"),
            consts=("scale", "bias_scale", *RULE, "L", "N", "P"),
            shared=True,
            rows="N",
            structs=STRUCTS,
            work=lambda L, A, **_: L * A,
            loops=_update_loops,
        ),
    ),
    example=_example,
    sizes=tuple(
        {"S": S, "N": N, "P": P, "L": L, "A": A, "rule": rule}
        for S, N, P, L, A, rule in [
            (1, 1, 1, 1, 1, "sgd"),
            (1, 7, 11, 1, 0, "sgd"),
            (1, 640, 768, 25, 255, "sgd"),
            (1, 257, 300, 256, 131, "momentum"),
            (3, 60, 257, 13, 256, "sgd"),
            (70, 11, 37, 5, 19, "momentum"),
            (65, 96, 104, 36, 40, "adam"),
            (1, 131, 257, 67, 256, "adamw"),
            (1, 64, 67, 5, 13, "rmsprop"),
            (3, 37, 41, 11, 17, "slowing"),
            (33, 67, 41, 7, 13, "sgd"),
            (1100, 3, 1031, 2, 2, "adam"),
        ]
    ),
)
