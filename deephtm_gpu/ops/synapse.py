"""Distal synapses: rows of a wide matrix (N cells or C columns, P presynaptic places), read only where row is a winner's
and column is in the context (MODEL: TemporalMemory, step 4, and the head that predicts columns).

A context is ragged: per stream a list of A places, `index`, and their activity, `value`.
"""

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass
from deephtm_gpu.ops.update import descend, touched_rows


def synapse_forward(rows, index, value, weight, bias):
    """rows (S, L), index and value S x (A,), weight (N, P), bias (N,) -> depolarisation (S, L)"""
    flat, P = weight.reshape(-1), weight.shape[1]
    depolarisation = bias[rows]  # (S, L)
    for s, row in enumerate(rows):
        depolarisation[s] += flat.take(row[:, None] * P + index[s]) @ value[s]
    return depolarisation


def synapse_backward(ddepolarisation, rows, index, weight):
    """ddepolarisation (S, L), rows (S, L), index S x (A,), weight (N, P) -> dvalue S x (A,)"""
    return [d @ weight[row[:, None], places] for d, row, places in zip(ddepolarisation, rows, index)]


def synapse_update(rows, left, index, value, coef, rate, weight, bias, moment, bias_moment, scale, bias_scale, momentum):
    """The gradient's step, on the touched entries alone (see update.py): the gradient is sum_s coef * left x value.

    rows, left (S, L), no row twice in a stream with left != 0; index, value S x (A,); coef (S, 1); changes weight, moment
    (N, P), and bias, bias_moment (N,), these at rate * bias_scale.
    """
    flat, P = weight.reshape(-1), weight.shape[1]
    seen = np.zeros(0, np.int64)  # entries that an earlier stream has moved: their moment has leaked already
    for s, touched in enumerate(left != 0):
        row, factor = rows[s][touched], coef[s, 0] * left[s][touched]  # (L',)
        places = row[:, None] * P + index[s]  # (L', A)
        if not momentum:
            flat[places] -= (rate * scale * factor)[:, None] * value[s]
            bias[row] -= (rate * bias_scale) * factor
        else:
            gradient = factor[:, None] * value[s]
            leak = np.where(np.isin(places, seen), 1, momentum)
            old = moment.reshape(-1)[places]
            moment.reshape(-1)[places] = new = leak * old + gradient
            gradient = np.where(leak == 1, gradient, new)  # what this stream adds to the step
            seen = np.concatenate([seen, places.reshape(-1)])
            flat[places] -= (rate * scale) * gradient
    if momentum:
        touched, factors = touched_rows(rows, coef * left)
        descend(bias, bias_moment, touched, factors.sum(axis=1), rate * bias_scale, momentum)


def ragged(rng, S, P, A):
    """S contexts of at most A of P places: index and value lists. Stream 1 has none: the empty context."""
    sizes = [0 if s == 1 else A for s in range(S)]
    return [np.sort(rng.permutation(P)[:n]) for n in sizes], [rng.normal(size=n) for n in sizes]


def _example(rng, S, N, P, L, A, momentum=0.0):
    index, value = ragged(rng, S, P, A)
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.6)
    return {
        "rows": pick(rng, S, N, L), "index": index, "value": value, "weight": rng.normal(size=(N, P)),
        "bias": rng.normal(size=N), "ddepolarisation": rng.normal(size=(S, L)), "left": left,
        "coef": rng.random((S, 1)), "rate": 0.37, "scale": 0.5, "bias_scale": 0.1, "momentum": momentum,
        "moment": rng.normal(size=(N, P)), "bias_moment": rng.normal(size=N), "L": L, "N": N, "P": P,
    }


SYNAPSE = Op(
    name="synapse",
    shader="synapse",
    matrices=(),
    params=("weight", "bias", "moment", "bias_moment"),
    passes=(
        Pass(synapse_forward, reads=("rows", "index", "value", "weight", "bias"), writes=("depolarisation",),
             consts=("L", "P"), work=lambda L, P: L * P),
        Pass(synapse_backward, reads=("ddepolarisation", "rows", "index", "weight"), writes=("dvalue",), consts=("L", "P"),
             work=lambda L, P: L * P),
        Pass(synapse_update, reads=("rows", "left", "index", "value", "coef", "rate"), 
             changes=("weight", "bias", "moment", "bias_moment"), consts=("L", "N", "P", "scale", "bias_scale", "momentum"),
             shared=True, rows="N", work=lambda L, P, **_: L * P,
             loops=lambda lanes, parts, S, L, N, P, **_: (
                 -(-L // parts) * (1 + P // lanes) if S == 1 else -(-N // parts) * (S * (1 + P // lanes) + (1 + S // lanes) * L))),
    ),
    example=_example,
    sizes=tuple({"S": S, "N": N, "P": P, "L": L, "A": A, "momentum": m} for S, N, P, L, A, m in [
        (1, 1, 1, 1, 1, 0.0), (1, 7, 11, 1, 0, 0.0), (1, 640, 768, 25, 255, 0.0), (1, 257, 300, 256, 131, 0.9),
        (3, 60, 257, 13, 256, 0.0), (70, 11, 37, 5, 19, 0.9), (65, 96, 104, 36, 40, 0.9)]),
)
