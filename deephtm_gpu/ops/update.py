"""Updates. The gradient of a weight is a sum over streams of products of two vectors, coef * left x right; it is never
kept: an update makes each of its entries as it needs it, and steps at once, by the rule of `rule.py`.

`coef` (S, 1) is what the optimiser gives each stream's gradient (1 for SGD, the Polyak step for PolyakSGD), `rate` the
learning rate of the step, `scale` the layer's lr_scale. `moment` and `power` are shaped like the parameter. `k` counts
the updates of the model before this one, `count` (rows,) those of each row that is only touched now and then.
"""

import math

import numpy as np

from deephtm_gpu.ops.linear import tile_loops
from deephtm_gpu.ops.rule import RULE, RULE_STRUCT, counts, descend, descend_at, numbers, parameter_struct, plain
from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import MANY, Op, Pass, lanes_for, mark_loops, rows_at_once, turns


def outer_update(left, right, coef, rate, k, weight, moment, power, scale, **rule):
    """left (S, O), right (S, I), coef (S, 1); changes weight, moment, power (O, I)"""
    if rule["beta1"] or rule["beta2"]:
        gradient = np.dot((coef * left).T, right)  # np.dot: `@` takes five times as long where S is 1
        descend(weight, moment, power, gradient, rate * scale, k, **rule)
    else:
        rate = rate * scale * max(rule["floor"], 1 / (1 + k * rule["decay_rate"]))
        if rule["decay"]:
            weight *= 1 - rate * rule["decay"]
        weight -= np.dot((rate * coef * left).T, right)


def vector_update(left, coef, rate, k, bias, moment, power, scale, **rule):
    """left (S, D), coef (S, 1); changes bias, moment, power (D,)"""
    if plain(rule):
        bias -= np.dot(rate * scale * coef[:, 0], left)
    else:
        descend(bias, moment, power, np.dot(coef[:, 0], left), rate * scale, k, **rule)


def rows_update(rows, left, right, coef, rate, weight, moment, power, count, scale, **rule):
    """left, rows (S, L), right (S, I), coef (S, 1); changes weight, moment, power (N, I) and count (N,) in the rows
    touched. A stream has no row twice with left != 0."""
    touched, factors = touched_rows(rows, coef * left)
    _step_rows(touched, factors, right, weight, moment, power, count, rate * scale, rule)


def lazy_update(left, right, coef, rate, weight, moment, power, count, scale, **rule):
    """`rows_update` where a list would name all rows: left (S, O), right (S, I), coef (S, 1); changes weight, moment,
    power (O, I) and count (O,) in the rows touched, those with left != 0 in any stream."""
    left = coef * left
    touched = np.flatnonzero((left != 0).any(axis=0))
    _step_rows(touched, left[:, touched].T, right, weight, moment, power, count, rate * scale, rule)


def _step_rows(touched, factors, right, weight, moment, power, count, rate, rule):
    """touched (L',), factors (L', S), right (S, I)"""
    gradient = factors * right if len(right) == 1 else factors @ right  # (L', I)
    k = count_touched(count, touched, rule)
    descend_at(weight, moment, power, touched, gradient, rate, k, **rule)


def entries_update(rows, left, coef, rate, bias, moment, power, count, scale, **rule):
    """rows, left (S, L), coef (S, 1); changes bias, moment, power, count (N,) in the entries touched"""
    touched, factors = touched_rows(rows, coef * left)
    k = count_touched(count, touched, rule)
    descend_at(
        bias,
        moment,
        power,
        touched,
        total_factors(factors),
        rate * scale,
        k[:, 0] if isinstance(k, np.ndarray) else k,
        **rule,
    )


def touched_rows(rows, left):
    """rows, left (S, L) -> the rows with left != 0 in any stream, each once, (L',), and what each stream has there (L',
    S)"""
    active = left != 0
    if len(rows) == 1:
        return rows[active], left[active][:, None]
    touched = np.unique(rows[active])
    factors = np.zeros((len(touched), len(rows)), left.dtype)
    for s in range(len(rows)):
        factors[np.searchsorted(touched, rows[s][active[s]]), s] = left[s][active[s]]
    return touched, factors


def total_factors(factors):
    """(L', S) -> (L',), the streams added up"""
    return factors[:, 0] if factors.shape[1] == 1 else factors.sum(axis=1)


def count_touched(count, touched, rule):
    """How often these rows were touched before, (L', 1) whole numbers, and one more from now on; 0 where nobody
    asks."""
    if not counts(rule):
        return 0
    k = count.take(touched)
    count[touched] = k + 1
    return k.astype(np.int64)[:, None]


def rule_example(kind="sgd"):
    """The numbers of a rule, of each kind that there is."""
    adam = {"beta1": 0.9, "beta2": 0.99, "log1": math.log(0.9), "log2": math.log(0.99), "epsilon": 1e-3}
    return numbers(**{
        "sgd": {},
        "momentum": {"beta1": 0.7},
        "rmsprop": {"beta2": 0.99, "epsilon": 1e-3},
        "adam": adam,
        "adamw": adam | {"decay": 0.2, "decay_rate": 0.01, "floor": 0.5},
        "slowing": {"decay_rate": 0.1, "floor": 0.3},
    }[kind])


def memory_example(rng, shape, rows):
    """What a rule remembers of a parameter of `shape` with so many rows, some of them never touched before."""
    count = np.floor(3 * rng.random(rows) ** 2 * rng.choice([1, 100], rows))
    return {"moment": rng.normal(size=shape), "power": rng.random(shape), "count": count}


def _bias_memory(rng, D):
    return {f"bias_{name}": value for name, value in memory_example(rng, D, D).items()}


def _outer_loops(lanes, parts, S, O, I, **_):
    Q, share = turns(I, 4), turns(O, parts)
    if S >= MANY:
        return tile_loops(lanes, turns(share, 4) * Q, S)
    wide = lanes_for(Q, lanes)
    return turns(Q, wide) * (1 + turns(share, lanes // wide) * S)


def _rows_loops(lanes, parts, S, L, N, I, **_):
    quads = turns(turns(I, 4), lanes)
    if S == 1:
        return turns(L, parts) * (1 + quads) + turns(L, lanes * parts)
    share, rows, (look, looks) = turns(N, parts), rows_at_once(S), mark_loops(lanes, S, L)
    adding = rows * (1 + looks * (1 + turns(1024 // rows, 32))) + S * min(rows, share, L)
    return turns(share, rows) * (
        1 + look * (1 if looks == 1 else quads * looks) + quads * (looks + adding) + turns(rows, lanes)
    )


def _lazy_loops(lanes, parts, S, O, I, **_):
    Q, share = turns(I, 4), turns(O, parts)
    wide = lanes_for(Q, lanes)
    return turns(share, lanes // wide) * (1 + S + turns(Q, wide) * (1 + S)) + turns(share, lanes) * (1 + S)


def _entries_loops(lanes, parts, S, L, N, **_):
    if S == 1:
        return turns(turns(L, parts), lanes)
    rows, (look, looks) = rows_at_once(S), mark_loops(lanes, S, L)
    return turns(turns(N, parts), rows) * (
        1 + looks * (1 + look) + turns(rows, lanes) * (looks * (2 + turns(1024 // rows, 32)) + S)
    )


def _example(rng, S, O, I, rule="sgd"):
    memory = memory_example(rng, (O, I), O)
    del memory["count"]
    return {
        "left": rng.normal(size=(S, O)),
        "right": rng.normal(size=(S, I)),
        "coef": rng.random((S, 1)),
        "rate": 0.3,
        "k": 7.0,
        "weight": rng.normal(size=(O, I)),
        "bias": rng.normal(size=O),
        **memory,
        **_bias_memory(rng, O),
        **rule_example(rule),
        "scale": 0.5,
        "O": O,
        "I": I,
        "D": O,
    }


def _rows_example(rng, S, N, I, L, rule="sgd"):
    left = rng.normal(size=(S, L)) * (rng.random((S, L)) < 0.7)
    return {
        "rows": pick(rng, S, N, L),
        "left": left,
        "right": rng.normal(size=(S, I)),
        "coef": rng.random((S, 1)),
        "rate": 0.3,
        "weight": rng.normal(size=(N, I)),
        "bias": rng.normal(size=N),
        **memory_example(rng, (N, I), N),
        **_bias_memory(rng, N),
        **rule_example(rule),
        "scale": 0.5,
        "L": L,
        "N": N,
        "I": I,
    }


def _lazy_example(rng, S, O, I, rule="sgd"):
    left = rng.normal(size=(S, O)) * (rng.random((S, O)) < 0.4)
    return {
        "left": left,
        "right": rng.normal(size=(S, I)),
        "coef": rng.random((S, 1)),
        "rate": 0.3,
        "weight": rng.normal(size=(O, I)),
        **memory_example(rng, (O, I), O),
        **rule_example(rule),
        "scale": 0.5,
        "O": O,
        "I": I,
    }


_WEIGHT = (parameter_struct("weight"), RULE_STRUCT)
_BIAS = (parameter_struct("bias", prefix="bias_"), RULE_STRUCT)

UPDATE = Op(
    name="update", shader="update", example=_example,
    matrices=("weight", "moment", "power"),
    params=("bias", "bias_moment", "bias_power"),
    passes=(
        Pass(outer_update, reads=("left", "right", "coef", "rate", "k"), changes=("weight", "moment", "power"),
             consts=("scale", *RULE, "O", "I"), shared=True, rows="O", tile=4, split=("weight", "moment", "power"),
             structs=_WEIGHT, work=lambda O, I, **_: O * I, loops=_outer_loops),
        Pass(vector_update, reads=("left", "coef", "rate", "k"), changes=("bias", "bias_moment", "bias_power"),
             consts=("scale", *RULE, "D"), shared=True, rows="D", split=("bias", "bias_moment", "bias_power"),
             structs=_BIAS, work=lambda D, **_: D,
             loops=lambda lanes, parts, S, D, **_: turns(turns(D, parts), lanes) * (1 + S)),
    ),
    sizes=tuple({"S": S, "O": O, "I": I, "rule": rule} for S, O, I, rule in [
        (1, 1, 1, "sgd"), (1, 256, 1, "momentum"), (1, 255, 257, "sgd"), (1, 3, 256, "rmsprop"), (5, 131, 67, "sgd"),
        (3, 67, 5, "momentum"), (1, 257, 33, "adam"), (3, 13, 256, "adamw"), (1, 7, 5, "slowing"), (4, 7, 3, "sgd"),
        (64, 9, 33, "adamw"), (257, 5, 13, "rmsprop")]),
    tolerance=1e-10,
)

ROWS_UPDATE = Op(
    name="rows_update",
    shader="update",
    example=_rows_example,
    matrices=("weight", "moment", "power"),
    params=("bias", "count", "bias_moment", "bias_power", "bias_count"),
    passes=(
        Pass(
            rows_update,
            reads=("rows", "left", "right", "coef", "rate"),
            changes=("weight", "moment", "power", "count"),
            consts=("scale", *RULE, "L", "N", "I"),
            shared=True,
            rows="N",
            structs=_WEIGHT,
            work=lambda L, I, **_: L * I,
            loops=_rows_loops,
        ),
        Pass(
            entries_update,
            reads=("rows", "left", "coef", "rate"),
            changes=("bias", "bias_moment", "bias_power", "bias_count"),
            consts=("scale", *RULE, "L", "N"),
            shared=True,
            rows="N",
            structs=_BIAS,
            work=lambda L, **_: L,
            loops=_entries_loops,
        ),
    ),
    sizes=tuple(
        {"S": S, "N": N, "I": I, "L": L, "rule": rule}
        for S, N, I, L, rule in [
            (1, 1, 1, 1, "sgd"),
            (1, 256, 256, 6, "sgd"),
            (1, 1280, 255, 25, "momentum"),
            (4, 40, 257, 13, "momentum"),
            (70, 11, 5, 3, "sgd"),
            (1, 131, 67, 17, "adam"),
            (3, 60, 257, 13, "adamw"),
            (1, 257, 5, 255, "rmsprop"),
            (2, 37, 3, 5, "slowing"),
            (33, 67, 9, 13, "adam"),
            (1100, 7, 37, 3, "slowing"),
            (1024, 5, 33, 2, "sgd"),
        ]
    ),
    tolerance=1e-10,
)

LAZY_UPDATE = Op(
    name="lazy_update", shader="update", example=_lazy_example,
    matrices=("weight", "moment", "power"),
    params=("count",),
    passes=(
        Pass(lazy_update, reads=("left", "right", "coef", "rate"), changes=("weight", "moment", "power", "count"),
             consts=("scale", *RULE, "O", "I"), shared=True, rows="O", split=("weight", "moment", "power", "count"),
             structs=_WEIGHT, work=lambda O, I, **_: O * I, loops=_lazy_loops),
    ),
    sizes=tuple({"S": S, "O": O, "I": I, "rule": rule} for S, O, I, rule in [
        (1, 1, 1, "sgd"), (1, 257, 250, "sgd"), (1, 131, 5, "momentum"), (1, 67, 37, "adam"), (3, 60, 257, "adamw"),
        (2, 255, 3, "slowing"), (5, 131, 67, "sgd"), (33, 67, 9, "adam"), (257, 7, 13, "rmsprop")]),
    tolerance=1e-10,
)
