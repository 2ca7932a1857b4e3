"""Updates. The gradient of a weight is a sum over streams of products of two vectors, coef * left x right; it is never
written out: an update makes each of its entries as it needs it, and steps theta -= rate * scale * gradient at once.

`coef` (S, 1) is what the optimiser gives each stream's gradient (1 for SGD, the Polyak step for PolyakSGD), `rate` the
learning rate of the step, `scale` the layer's lr_scale. `update.wgsl` shows the plain rule; an optimiser with memory
(momentum) puts its own rule into the same walk over the entries.
"""

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass


def outer_update(left, right, coef, rate, weight, scale):
    """left (S, O), right (S, I), coef (S, 1); changes weight (O, I)"""
    weight -= (rate * scale * coef * left).T @ right


def rows_update(rows, left, right, coef, rate, weight, scale):
    """left, rows (S, L), right (S, I), coef (S, 1); changes weight (N, I) in the rows touched.
    No row stands twice in a stream with left != 0."""
    for s, touched in enumerate(left != 0):
        step = (rate * scale * coef[s, 0]) * left[s][touched]
        weight[rows[s][touched]] -= step[:, None] * right[s]


def vector_update(left, coef, rate, bias, scale):
    """left (S, D), coef (S, 1); changes bias (D,)"""
    bias -= (rate * scale * coef * left).sum(axis=0)


def entries_update(rows, left, coef, rate, bias, scale):
    """rows, left (S, L), coef (S, 1); changes bias (N,) in the entries touched"""
    for s, touched in enumerate(left != 0):
        bias[rows[s][touched]] -= (rate * scale * coef[s, 0]) * left[s][touched]


def _example(rng, S, O, I):
    return {"left": rng.normal(size=(S, O)), "right": rng.normal(size=(S, I)), "coef": rng.random((S, 1)), "rate": 0.3,
            "weight": rng.normal(size=(O, I)), "bias": rng.normal(size=O), "scale": 0.5, "O": O, "I": I, "D": O}


def _rows_example(rng, S, N, I, L):
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.7)
    return {"rows": pick(rng, S, N, L), "left": left, "right": rng.normal(size=(S, I)), "coef": rng.random((S, 1)),
            "rate": 0.3, "weight": rng.normal(size=(N, I)), "bias": rng.normal(size=N), "scale": 0.5,
            "L": L, "N": N, "I": I}


UPDATE = Op(
    name="update", shader="update", example=_example,
    passes=(
        Pass(outer_update, reads=("left", "right", "coef", "rate"), changes=("weight",), consts=("scale", "O", "I"),
             shared=True, rows="O", split=("weight",), work=lambda scale, O, I: O * I),
        Pass(vector_update, reads=("left", "coef", "rate"), changes=("bias",), consts=("scale", "D"),
             shared=True, rows="D", split=("bias",), work=lambda scale, D: D),
    ),
    sizes=tuple({"S": S, "O": O, "I": I} for S, O, I in [
        (1, 1, 1), (1, 256, 1), (1, 255, 257), (1, 3, 256), (5, 131, 67)]),
    tolerance=1e-10,
)

ROWS_UPDATE = Op(
    name="rows_update", shader="update", example=_rows_example,
    passes=(
        Pass(rows_update, reads=("rows", "left", "right", "coef", "rate"), changes=("weight",),
             consts=("scale", "L", "N", "I"), shared=True, rows="N", split=("weight",),
             work=lambda scale, L, N, I: L * I),
        Pass(entries_update, reads=("rows", "left", "coef", "rate"), changes=("bias",), consts=("scale", "L", "N"),
             shared=True, rows="N", split=("bias",), work=lambda scale, L, N: L),
    ),
    sizes=tuple({"S": S, "N": N, "I": I, "L": L} for S, N, I, L in [
        (1, 1, 1, 1), (1, 256, 256, 6), (1, 1280, 255, 25), (4, 40, 257, 13), (70, 11, 5, 3)]),
    tolerance=1e-10,
)
