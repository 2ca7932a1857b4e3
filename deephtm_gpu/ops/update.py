"""Updates. The gradient of a weight is a sum over streams of products of two vectors, coef * left x right; it is never
written out: an update makes each of its entries as it needs it, and steps at once.

    momentum 0:   theta -= rate * scale * gradient
    otherwise:    moment = momentum * moment + gradient; theta -= rate * scale * moment

`coef` (S, 1) is what the optimiser gives each stream's gradient (1 for SGD, the Polyak step for PolyakSGD), `rate` the
learning rate of the step, `scale` the layer's lr_scale. `moment` is shaped like the parameter (0, a number, where there is no
momentum). Where only some rows are touched, only their moments move.
"""

import numpy as np

from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass


def outer_update(left, right, coef, rate, weight, moment, scale, momentum):
    """left (S, O), right (S, I), coef (S, 1); changes weight, moment (O, I)"""
    if momentum:
        moment *= momentum
        moment += np.dot((coef * left).T, right)  # np.dot: `@` takes five times as long where S is 1
        weight -= (rate * scale) * moment
    else:
        weight -= np.dot((rate * scale * coef * left).T, right)


def vector_update(left, coef, rate, bias, moment, scale, momentum):
    """left (S, D), coef (S, 1); changes bias, moment (D,)"""
    gradient = np.dot(coef[:, 0], left)
    if momentum:
        moment *= momentum
        moment += gradient
        gradient = moment
    bias -= (rate * scale) * gradient


def rows_update(rows, left, right, coef, rate, weight, moment, scale, momentum):
    """left, rows (S, L), right (S, I), coef (S, 1); changes weight, moment (N, I) in the rows touched.
    No row stands twice in a stream with left != 0."""
    touched, factors = touched_rows(rows, coef * left)
    gradient = factors * right if len(right) == 1 else factors @ right  # (L', I)
    descend(weight, moment, touched, gradient, rate * scale, momentum)


def entries_update(rows, left, coef, rate, bias, moment, scale, momentum):
    """rows, left (S, L), coef (S, 1); changes bias, moment (N,) in the entries touched"""
    touched, factors = touched_rows(rows, coef * left)
    descend(bias, moment, touched, factors.sum(axis=1), rate * scale, momentum)


def descend(theta, moment, at, gradient, rate, momentum):
    """The step itself, on the entries `at` of theta."""
    if momentum:
        moment[at] = gradient = momentum * moment[at] + gradient
    theta[at] -= rate * gradient


def touched_rows(rows, left):
    """rows, left (S, L) -> the rows with left != 0 in any stream, each once, (L',), and what each stream has there (L', S)"""
    active = left != 0
    if len(rows) == 1:
        return rows[active], left[active][:, None]
    touched = np.unique(rows[active])
    factors = np.zeros((len(touched), len(rows)), left.dtype)
    for s in range(len(rows)):
        factors[np.searchsorted(touched, rows[s][active[s]]), s] = left[s][active[s]]
    return touched, factors


def _example(rng, S, O, I, momentum=0.0):
    return {"left": rng.normal(size=(S, O)), "right": rng.normal(size=(S, I)), "coef": rng.random((S, 1)), "rate": 0.3,
            "weight": rng.normal(size=(O, I)), "bias": rng.normal(size=O), "moment": rng.normal(size=(O, I)),
            "bias_moment": rng.normal(size=O), "scale": 0.5, "momentum": momentum, "O": O, "I": I, "D": O}


def _rows_example(rng, S, N, I, L, momentum=0.0):
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.7)
    return {"rows": pick(rng, S, N, L), "left": left, "right": rng.normal(size=(S, I)), "coef": rng.random((S, 1)),
            "rate": 0.3, "weight": rng.normal(size=(N, I)), "bias": rng.normal(size=N), "moment": rng.normal(size=(N, I)),
            "bias_moment": rng.normal(size=N), "scale": 0.5, "momentum": momentum, "L": L, "N": N, "I": I}


UPDATE = Op(
    name="update", shader="update", example=_example,
    matrices=("weight", "moment"),
    params=("bias", "bias_moment"),
    passes=(
        Pass(outer_update, reads=("left", "right", "coef", "rate"), changes=("weight", "moment"), consts=("scale", "momentum", "O", "I"),
             shared=True, rows="O", split=("weight", "moment"), work=lambda O, I, **_: O * I),
        Pass(vector_update, reads=("left", "coef", "rate"), changes=("bias", "bias_moment"), consts=("scale", "momentum", "D"),
             shared=True, rows="D", split=("bias", "bias_moment"), work=lambda D, **_: D),
    ),
    sizes=tuple({"S": S, "O": O, "I": I, "momentum": m} for S, O, I, m in [
        (1, 1, 1, 0.0), (1, 256, 1, 0.9), (1, 255, 257, 0.0), (1, 3, 256, 0.5), (5, 131, 67, 0.0), (3, 67, 5, 0.9)]),
    tolerance=1e-10,
)

ROWS_UPDATE = Op(
    name="rows_update", shader="update", example=_rows_example,
    matrices=("weight", "moment"),
    params=("bias", "bias_moment"),
    passes=(
        Pass(rows_update, reads=("rows", "left", "right", "coef", "rate"), changes=("weight", "moment"),
             consts=("scale", "momentum", "L", "N", "I"), shared=True, rows="N", work=lambda L, I, **_: L * I,
             loops=lambda lanes, parts, S, L, N, I, **_: (
                 -(-L // parts) * (1 + I // (4 * lanes)) if S == 1
                 else -(-N // parts) * (1 + I // (4 * lanes)) * (S + (1 + S // lanes) * L))),
        Pass(entries_update, reads=("rows", "left", "coef", "rate"), changes=("bias", "bias_moment"),
             consts=("scale", "momentum", "L", "N"), shared=True, rows="N", work=lambda L, **_: L,
             loops=lambda lanes, parts, S, L, N, **_: (1 + (N * S if S > 1 else 1) * L // (parts * lanes))),
    ),
    sizes=tuple({"S": S, "N": N, "I": I, "L": L, "momentum": m} for S, N, I, L, m in [
        (1, 1, 1, 1, 0.0), (1, 256, 256, 6, 0.0), (1, 1280, 255, 25, 0.9), (4, 40, 257, 13, 0.9), (70, 11, 5, 3, 0.0)]),
    tolerance=1e-10,
)
