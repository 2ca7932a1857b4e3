"""Distal synapses of large memories. A matrix with a column for every source (`synapse.py`) grows with the square of
the cells; here a row has F synapses, and each can see one source alone: its *sample*, drawn once and for ever.

The P sources lie in F stretches, equal but for rounding, and a row sees one source of each: weight (N, F), its column
the stretch. Which source that is, is not stored but computed, from the sample's number, the row's and the stretch's. So
a sample costs no memory, the sources of a context need not be looked for (the stretch of a source is a division,
whether a row sees it one mix of bits), and no two entries of a context ever meet in one synapse. A stored index of (N,
F) would double the memory, and all F of it would be read where a context has A entries.

A row sees F/P of a context, and what it sees counts sqrt(P/F) times: so on average its sum, the norm of its gradient,
and how far a gradient's step moves the sum are those of a row that sees everything, at any F, and neither the weights'
start nor the rate has to know. (Adam, whose steps do not depend on a gradient's size, moves it sqrt(F/P) times as far.)
On the high-order sequences cells that see 64 of 3,072 sources need 2,419 elements, and 1,733 after the swap; with
weights that start sqrt(P/F) times as large instead 3,562 and 4,052, with neither 4,884 and 2,787 (seed 2001; dense
2,140 and 1,256). With F = P every stretch is one source long: the dense matrix, source for source.
"""

from math import sqrt

import numpy as np

from deephtm_gpu.ops.mix import mix32
from deephtm_gpu.ops.rule import RULE, descend_at
from deephtm_gpu.ops.sparse_linear import by_rows, pick
from deephtm_gpu.ops.spec import Op, Pass, Struct, turns
from deephtm_gpu.ops.synapse import STRUCTS, add_up, ragged
from deephtm_gpu.ops.update import count_touched, memory_example, rule_example, total_factors, touched_rows

SAMPLES = 1 << 24  # how many there are: their numbers are parameters, and a float32 represents all of them exactly
MOST = 1 << 32  # P * F stays below: sources are found with 32 bits


def stretch_of(source, F, P):
    """Which of F stretches of P sources it lies in; stretch f is f*P//F .. (f+1)*P//F - 1."""
    return ((source + 1) * F - 1) // P


def visible(rows, sources, sample, F, P):
    """Who sees whom. rows (L,), sources (A,), sample (1,) -> l, a, synapse, each (E,): the l-th row sees the a-th
    source with the index of that synapse in its flattened weights (N, F); l ascends."""
    stretch = stretch_of(sources, F, P)  # (A,)
    begin = stretch * P // F
    length = (stretch + 1) * P // F - begin
    # Each word is mixed in before the next comes, so that no two rows, or samples, draw the same in another order.
    row_noise = mix32(np.uint32(mix32(int(sample[0]))) ^ rows.astype(np.uint32))  # (L,)
    drawn = mix32(row_noise[:, None] ^ stretch.astype(np.uint32)) % length.astype(np.uint32)  # (L, A)
    l, a = np.divmod(np.flatnonzero(drawn == (sources - begin)), max(1, len(sources)))
    return l, a, rows[l] * F + stretch[a]


def weight_of_visible(F, P):
    """How much a source counts that a row sees, for those that it does not see."""
    return sqrt(P / F)


def sampled_forward(rows, index, value, weight, bias, sample, F, P):
    """rows (S, L), index and value S x (A,), weight (N, F), bias (N,), sample (1,): its number -> depolarisation (S,
    L)"""
    flat, depolarisation = weight.reshape(-1), bias[rows]  # (S, L)
    for s, row in enumerate(rows):
        l, a, synapse = visible(row, index[s], sample, F, P)
        depolarisation[s] += weight_of_visible(F, P) * np.bincount(l, flat.take(synapse) * value[s][a], len(row))
    return depolarisation


def sampled_backward(ddepolarisation, rows, index, weight, sample, F, P):
    """ddepolarisation (S, L), rows (S, L), index S x (A,), weight (N, F), sample (1,) -> dvalue S x (A,)"""
    flat, dvalue = weight.reshape(-1), []
    for d, row, sources in zip(ddepolarisation, rows, index):
        active = d != 0
        l, a, synapse = visible(row[active], sources, sample, F, P)
        seen = np.bincount(a, d[active][l] * flat.take(synapse), len(sources))
        dvalue.append((weight_of_visible(F, P) * seen).astype(flat.dtype))
    return dvalue


def sampled_update(rows, left, index, value, coef, rate, sample, weight, bias, moment, power, count, bias_moment,
                   bias_power, total, scale, bias_scale, F, P, **rule):
    """As `synapse_update`, in the synapses that see an entry of the context.

    rows, left (S, L), no row twice in a stream with left != 0; index, value S x (A,); coef (S, 1); sample (1,); changes
    weight, moment, power (N, F), and bias, bias_moment, bias_power (N,), these at rate * bias_scale; count (N,).
    total (N, F): where the shader adds streams up; all 0 before and after.
    """
    touched, factors = touched_rows(rows, coef * left)  # (R,), (R, S)
    k = count_touched(count, touched, rule)  # (R, 1)
    owners, synapses, parts = [], [], []
    for s, (sources, v) in enumerate(zip(index, value)):
        mine, there = np.flatnonzero(factors[:, s]), np.flatnonzero(v)
        l, a, synapse = visible(touched[mine], sources[there], sample, F, P)
        owners.append(mine[l])
        synapses.append(synapse)
        parts.append(weight_of_visible(F, P) * factors[mine[l], s] * v[there[a]])
    if len(rows) == 1:
        owner, synapse, gradient = owners[0], synapses[0], parts[0]
    else:
        synapse, gradient = add_up(synapses, parts)
        owner = np.searchsorted(touched, synapse // F)
    flat = [m if np.isscalar(m) else m.reshape(-1) for m in (weight, moment, power)]
    descend_at(*flat, synapse, gradient, rate * scale, k if np.isscalar(k) else k[owner, 0], **rule)
    k = k if np.isscalar(k) else k[:, 0]
    descend_at(bias, bias_moment, bias_power, touched, total_factors(factors), rate * bias_scale, k, **rule)


def sampled_square(left, rows, index, value, sample, squares, slot, scale, L, F, P):
    """left, rows (S, L), index and value S x (A,), sample (1,); changes squares (S, Q) in column `slot`: scale * sum_l
    left^2 * (1 + P/F sum of value^2 over what row l sees), the weights and the bias that goes with left"""
    for s, (d, row) in enumerate(zip(left, rows)):
        l, a, _ = visible(row, index[s], sample, F, P)
        seen = np.bincount(l, value[s][a] ** 2, L)  # (L,)
        squares[s, slot] = scale * (d * d).dot(1 + P / F * seen)


def _example(rng, S, N, F, P, L, A, rule="sgd"):
    index, value = ragged(rng, S, P, A)
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.6)
    return {
        "rows": pick(rng, S, N, L),
        "index": index,
        "value": value,
        "weight": rng.normal(size=(N, F)),
        "bias": rng.normal(size=N),
        "sample": rng.integers(SAMPLES, size=1).astype(np.float64),
        "ddepolarisation": rng.normal(size=(S, L)),
        "left": left,
        "coef": rng.random((S, 1)),
        "rate": 0.37,
        "scale": 0.5,
        "bias_scale": 0.1,
        **rule_example(rule),
        **memory_example(rng, (N, F), N),
        "bias_moment": rng.normal(size=N),
        "bias_power": rng.random(N),
        "total": np.zeros((N, F)),
        "squares": rng.random((S, 3)),
        "slot": 1,
        "L": L,
        "N": N,
        "F": F,
        "P": P,
    }


SAMPLE_STRUCT = Struct("sample", "Sample", ("sample", "F", "P"))  # of shaders/lib/sample.wgsl

SAMPLED = Op(
    name="sampled",
    shader="sampled",
    params=("weight", "bias", "sample", "moment", "power", "count", "bias_moment", "bias_power", "total"),
    passes=(
        Pass(
            sampled_forward,
            reads=("rows", "index", "value", "weight", "bias", "sample"),
            writes=("depolarisation",),
            consts=("L", "F", "P"),
            structs=(SAMPLE_STRUCT,),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, A, L, **_: by_rows(lanes, L, A),
        ),
        Pass(
            sampled_backward,
            reads=("ddepolarisation", "rows", "index", "weight", "sample"),
            writes=("dvalue",),
            consts=("L", "F", "P"),
            structs=(SAMPLE_STRUCT,),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, A, L, **_: turns(A, lanes) * (L + 1),
        ),
        Pass(
            sampled_update,
            reads=("rows", "left", "index", "value", "coef", "rate", "sample"),
            changes=("weight", "bias", "moment", "power", "count", "bias_moment", "bias_power", "total"),
            consts=("scale", "bias_scale", *RULE, "L", "N", "F", "P"),
            shared=True,
            rows="N",
            looks_alone=True,
            structs=(SAMPLE_STRUCT, *STRUCTS),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, parts, S, A, L, N, **_: (
                turns(L, parts) * (1 + turns(A, lanes)) + turns(L, lanes * parts)
                if S == 1
                else turns(N, parts) * 2 * (S * (1 + turns(A, lanes)) + turns(S, lanes) * (L + 2))
            ),
        ),
        Pass(
            sampled_square,
            reads=("left", "rows", "index", "value", "sample"),
            changes=("squares",),
            consts=("slot", "scale", "L", "F", "P"),
            structs=(SAMPLE_STRUCT,),
            work=lambda L, A, **_: L * A,
            loops=lambda lanes, A, L, **_: by_rows(lanes, L, A) + 8,
        ),
    ),
    example=_example,
    sizes=tuple(
        {"S": S, "N": N, "F": F, "P": P, "L": L, "A": A, "rule": rule}
        for S, N, F, P, L, A, rule in [
            (1, 1, 1, 1, 1, 1, "sgd"),
            (1, 7, 3, 11, 1, 0, "sgd"),
            (1, 19, 5, 23, 3, 7, "sgd"),
            (1, 640, 256, 768, 25, 255, "sgd"),
            (1, 257, 37, 300, 256, 131, "momentum"),
            (1, 13, 1, 97, 5, 97, "sgd"),
            (3, 60, 255, 257, 13, 256, "sgd"),
            (70, 11, 31, 37, 5, 19, "momentum"),
            (65, 96, 52, 104, 36, 40, "adam"),
            (1, 131, 257, 257, 67, 256, "adamw"),
            (1, 64, 29, 67, 5, 13, "rmsprop"),
            (3, 37, 19, 41, 11, 17, "slowing"),
            (2, 65521, 2, 70001, 67, 1031, "adam"),
        ]
    ),
)
