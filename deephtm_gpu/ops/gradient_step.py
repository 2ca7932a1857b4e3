"""The one step of a parameter whose gradient is materialised (`gradient.py`): along sum_s coef[s] gradient[s], by the
rule of `rule.py`. It puts the gradient, and the marks of the rows that it has touched, back to 0.

`coef`, `rate`, `scale`, `moment`, `power`, `k` and `count` are those of `update.py`. `most`: the most rows that a
stream can touch in a step, by which the shader's loops are bounded. """

import numpy as np

from deephtm_gpu.ops.gradient import silenced
from deephtm_gpu.ops.rule import RULE, RULE_STRUCT, descend, descend_at, parameter_struct
from deephtm_gpu.ops.spec import Op, Pass, lanes_for, sum_loops, turns
from deephtm_gpu.ops.synapse import STRUCTS
from deephtm_gpu.ops.update import count_touched, memory_example, rule_example

BLOCK = 1024  # of the shader: rows looked at at once for what is touched


def matrix_step(coef, rate, k, gradient, weight, moment, power, scale, **rule):
    """coef (S, 1); changes weight, moment, power (O, I), every entry; gradient (S, O, I) becomes 0"""
    descend(weight, moment, power, weighted(coef, gradient), rate * scale, k, **rule)
    gradient[...] = 0


def vector_step(coef, rate, k, bias_gradient, bias, bias_moment, bias_power, scale, **rule):
    """coef (S, 1); changes bias, bias_moment, bias_power (D,), every entry; bias_gradient (S, D) becomes 0"""
    descend(bias, bias_moment, bias_power, weighted(coef, bias_gradient), rate * scale, k, **rule)
    bias_gradient[...] = 0


def rows_step(coef, rate, gradient, touched, weight, moment, power, count, scale, **rule):
    """coef (S, 1); changes weight, moment, power (N, I) and count (N,) in the rows that a stream with coef != 0 has
    touched; gradient (S, N, I) and touched (S, N) become 0"""
    rows = _touched_by_some(coef, touched)
    k = count_touched(count, rows, rule)
    descend_at(weight, moment, power, rows, weighted(coef, gradient, rows), rate * scale, k, **rule)
    _clear(touched, gradient)


def entries_step(coef, rate, bias_gradient, bias, bias_moment, bias_power, bias_count, scale, **rule):
    """coef (S, 1); changes bias, bias_moment, bias_power, bias_count (N,) in the entries with a gradient; bias_gradient
    (S, N) becomes 0"""
    there = _touched_by_some(coef, bias_gradient)
    k = count_touched(bias_count, there, rule)
    total = weighted(coef, bias_gradient, there)
    k = k if np.isscalar(k) else k[:, 0]
    descend_at(bias, bias_moment, bias_power, there, total, rate * scale, k, **rule)
    bias_gradient[...] = 0


def synapse_step(coef, rate, gradient, bias_gradient, touched, weight, bias, moment, power, count, bias_moment,
                 bias_power, scale, bias_scale, P, **rule):
    """coef (S, 1); of the rows that a stream with coef != 0 has touched, changes the entries of weight, moment, power
    (N, P) whose gradient is not 0, bias, bias_moment, bias_power (N,) at rate * bias_scale, and count (N,). gradient
    (S, N, P), bias_gradient and touched (S, N) become 0. (Of samples too: F stands for P.)"""
    rows = _touched_by_some(coef, touched)
    k = count_touched(count, rows, rule)  # (R, 1)
    total = weighted(coef, gradient, rows)  # (R, P)
    there = np.flatnonzero(total != 0)  # of truth values: a tenth of the time
    r, p = np.divmod(there, P)
    flat = [m if np.isscalar(m) else m.reshape(-1) for m in (weight, moment, power)]
    descend_at(*flat, rows[r] * P + p, total.take(there), rate * scale, k if np.isscalar(k) else k[r, 0], **rule)
    k = k if np.isscalar(k) else k[:, 0]
    descend_at(bias, bias_moment, bias_power, rows, weighted(coef, bias_gradient, rows), rate * bias_scale, k, **rule)
    _clear(touched, gradient, bias_gradient)


def weighted(coef, gradient, rows=None):
    """coef (S, 1), gradient (S, ...) -> (...), the sum over streams; of some rows alone, (R, ...)"""
    if len(gradient) == 1:
        return coef[0, 0] * (gradient[0] if rows is None else gradient[0].take(rows, axis=0))
    return np.tensordot(coef[:, 0], gradient if rows is None else gradient[:, rows], 1)


def _touched_by_some(coef, touched):
    """coef (S, 1), touched (S, N) -> the rows that some stream moves, (R,)"""
    return np.flatnonzero((coef * touched != 0).any(axis=0))


def _clear(touched, *gradients):
    """A stream whose coef is 0 has touched its rows all the same."""
    for s, there in enumerate(touched):
        rows = np.flatnonzero(there != 0)
        for gradient in gradients:
            gradient[s][rows] = 0
        there[rows] = 0


# How long a stream's gradient is


def gradient_square(gradient, squares, slot, scale):
    """gradient (S, D) or (S, O, I); changes squares (S, Q) in column `slot`: scale * |gradient|^2"""
    for s, g in enumerate(gradient):
        g = g.reshape(-1)
        squares[s, slot] = scale * g.dot(g)


def rows_square(gradient, touched, squares, slot, scale):
    """As `gradient_square`, looking at the rows of gradient (S, N, I) that are touched (S, N) alone"""
    for s, there in enumerate(touched):
        g = gradient[s][np.flatnonzero(there != 0)].reshape(-1)
        squares[s, slot] = scale * g.dot(g)


def _matrix_loops(lanes, parts, S, O, I, **_):
    return turns(turns(O, parts) * turns(I, 4), lanes) * (1 + 4 * S)


def _entries_loops(lanes, parts, S, entries):
    return turns(turns(entries, parts), lanes) * (1 + 2 * S)


def _block_loops(lanes, S, share):
    """What it takes to find the rows that are touched, and to count them."""
    words = BLOCK // 32
    return turns(share, BLOCK) * (1 + words + turns(words, lanes) + turns(min(share, BLOCK), lanes) * (2 + 3 * S))


def _rows_loops(lanes, parts, S, N, I, most, **_):
    Q, share = turns(I, 4), turns(N, parts)
    wide = lanes_for(Q, lanes)
    touched = min(share, S * most)
    mine = min(touched, turns(touched, lanes // wide) + turns(share, BLOCK))
    return _block_loops(lanes, S, share) + touched + mine * (S + turns(Q, wide) * (1 + 4 * S))


def _synapse_loops(lanes, parts, S, N, P, most, **_):
    share = turns(N, parts)
    return _block_loops(lanes, S, share) + min(share, S * most) * (1 + 2 * S + turns(P, lanes) * (1 + S))


def _square_loops(lanes, N, I, most, **_):
    return _block_loops(lanes, 1, N) + min(N, most) * (1 + turns(I, lanes)) + sum_loops(lanes)


def _touched_gradient(rng, S, N, *columns):
    """gradient (S, N, ...), and touched (S, N): the rows where it is not 0. Stream 1 counts for nothing."""
    touched = np.floor(1.6 * rng.random((S, N)))
    return {"gradient": silenced(rng, S, N, *columns) * touched[(...,) + (None,) * len(columns)], "touched": touched,
            "coef": rng.random((S, 1)) * (np.arange(S) != 1)[:, None], "most": N}


def _bias_example(rng, N, rule):
    memory = {f"bias_{name}": value for name, value in memory_example(rng, N, N).items()}
    return {"rate": 0.3, "scale": 0.5, "bias_scale": 0.1, "bias": rng.normal(size=N), **memory, **rule_example(rule)}


def _example(rng, S, O, I, rule="sgd"):
    return {**_touched_gradient(rng, S, O, I), "bias_gradient": rng.normal(size=(S, O)), "k": 7.0,
            "weight": rng.normal(size=(O, I)), **memory_example(rng, (O, I), O), **_bias_example(rng, O, rule),
            "O": O, "I": I, "D": O}


def _square_example(rng, S, N, I):
    return {**_touched_gradient(rng, S, N, I), "squares": rng.random((S, 3)), "slot": 1, "scale": 0.5,
            "N": N, "I": I, "D": N * I}


def _rows_example(rng, S, N, I, rule="sgd"):
    touched = _touched_gradient(rng, S, N, I)
    return {**touched, "bias_gradient": rng.normal(size=(S, N)) * touched["touched"], "weight": rng.normal(size=(N, I)),
            **memory_example(rng, (N, I), N), **_bias_example(rng, N, rule), "N": N, "I": I, "P": I}


_WEIGHT = parameter_struct("weight")
_BIAS = parameter_struct("bias", prefix="bias_")

GRADIENT_STEP = Op(
    name="gradient_step", shader="gradient_step", example=_example,
    matrices=("weight", "moment", "power"),
    params=("bias", "bias_moment", "bias_power"),
    passes=(
        Pass(matrix_step, reads=("coef", "rate", "k"), changes=("gradient", "weight", "moment", "power"),
             consts=("scale", *RULE, "O", "I"), shared=True, rows="O", split=("gradient", "weight", "moment", "power"),
             structs=(_WEIGHT, RULE_STRUCT), work=lambda O, I, **_: O * I, loops=_matrix_loops),
        Pass(vector_step, reads=("coef", "rate", "k"), changes=("bias_gradient", "bias", "bias_moment", "bias_power"),
             consts=("scale", *RULE, "D"), shared=True, rows="D",
             split=("bias_gradient", "bias", "bias_moment", "bias_power"),
             structs=(_BIAS, RULE_STRUCT), work=lambda D, **_: D,
             loops=lambda lanes, parts, S, D, **_: _entries_loops(lanes, parts, S, D)),
    ),
    sizes=tuple({"S": S, "O": O, "I": I, "rule": rule} for S, O, I, rule in [
        (1, 1, 1, "sgd"), (1, 256, 1, "momentum"), (1, 255, 257, "sgd"), (1, 3, 256, "rmsprop"), (5, 131, 67, "sgd"),
        (1, 257, 33, "adam"), (3, 13, 255, "adamw"), (1, 7, 5, "slowing"), (70, 5, 3, "adam")]),
    tolerance=1e-10,
)

_ROWS_SIZES = tuple({"S": S, "N": N, "I": I, "rule": rule} for S, N, I, rule in [
    (1, 1, 1, "sgd"), (1, 256, 255, "momentum"), (1, 1031, 5, "adam"), (1, 67, 257, "rmsprop"), (3, 60, 256, "adamw"),
    (2, 37, 3, "slowing"), (33, 67, 9, "adam"), (300, 7, 13, "sgd")])

ROWS_STEP = Op(
    name="rows_step", shader="gradient_step", example=_rows_example,
    matrices=("weight", "moment", "power"),
    params=("bias", "count", "bias_moment", "bias_power", "bias_count"),
    passes=(
        Pass(rows_step, reads=("coef", "rate"), changes=("gradient", "touched", "weight", "moment", "power", "count"),
             consts=("scale", *RULE, "N", "I", "most"), shared=True, rows="N", structs=(_WEIGHT, RULE_STRUCT),
             work=lambda N, I, most, **_: N + most * I, loops=_rows_loops),
        Pass(entries_step, reads=("coef", "rate"),
             changes=("bias_gradient", "bias", "bias_moment", "bias_power", "bias_count"),
             consts=("scale", *RULE, "N"), shared=True, rows="N", structs=(_BIAS, RULE_STRUCT), work=lambda N, **_: N,
             loops=lambda lanes, parts, S, N, **_: _entries_loops(lanes, parts, S, N)),
    ),
    sizes=_ROWS_SIZES,
    tolerance=1e-10,
)

SYNAPSE_STEP = Op(
    name="synapse_step", shader="gradient_step", example=_rows_example,
    params=("weight", "moment", "power", "bias", "count", "bias_moment", "bias_power"),
    passes=(
        Pass(synapse_step, reads=("coef", "rate"),
             changes=("gradient", "bias_gradient", "touched", "weight", "bias", "moment", "power", "count",
                      "bias_moment", "bias_power"),
             consts=("scale", "bias_scale", *RULE, "N", "P", "most"), shared=True, rows="N", structs=STRUCTS,
             work=lambda N, P, most, **_: N + most * P, loops=_synapse_loops),
    ),
    sizes=_ROWS_SIZES,
    tolerance=1e-10,
)

GRADIENT_SQUARE = Op(
    name="gradient_square", shader="gradient_step", example=_square_example,
    passes=(
        Pass(gradient_square, reads=("gradient",), changes=("squares",), consts=("slot", "scale", "D"),
             work=lambda D, **_: D),
        Pass(rows_square, reads=("gradient", "touched"), changes=("squares",),
             consts=("slot", "scale", "N", "I", "most"), work=lambda N, I, most, **_: N + most * I,
             loops=_square_loops),
    ),
    sizes=tuple({"S": S, "N": N, "I": I} for S, N, I in [
        (1, 1, 1), (1, 256, 257), (1, 1031, 3), (3, 255, 13), (70, 7, 5)]),
)
