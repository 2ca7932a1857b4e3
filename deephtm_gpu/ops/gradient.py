"""Materialised gradients: of a parameter with several uses, or with one use at X sites that share it.

Every use adds its part into the parameter's gradient, one tensor a stream with the parameter's shape. Then one step
goes along their sum (`gradient_step.py`) and puts the gradient back to 0: it is 0 before and after every step. (A
parameter with one use has no such tensor: `update.py` makes each entry as it needs it.)

Of a sparse parameter `touched` (S, N) is 1 in the rows that a stream's uses have touched, those with left != 0: what
was not touched is neither read nor moved by the step.

Arrays with sites come as (S*X, D), the site fastest; ragged ones as lists of S*X arrays. On the GPU site x of a
stream's tensor begins x * round4(its size) behind the first, the length in front of a ragged list counted in. `room`:
the most entries of a context, from which the shader knows where the next site begins. """

import numpy as np

from deephtm_gpu.ops.sampled import SAMPLE_STRUCT, SAMPLES, visible, weight_of_visible
from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass, lanes_for, sum_loops, turns
from deephtm_gpu.ops.synapse import ragged


def outer_gradient(left, right, gradient, X):
    """left (S*X, O), right (S*X, I); adds to gradient (S, O, I)"""
    for s, (l, r) in enumerate(zip(by_stream(left, X), by_stream(right, X))):
        gradient[s] += np.dot(l.T, r)


def vector_gradient(left, bias_gradient, X):
    """left (S*X, D); adds to bias_gradient (S, D)"""
    bias_gradient += left if X == 1 else by_stream(left, X).sum(axis=1)


def rows_gradient(rows, left, right, gradient, touched, X):
    """rows, left (S*X, L), right (S*X, I); adds to gradient (S, N, I), and marks the rows in touched (S, N). No row
    stands twice in a list with left != 0."""
    for i, (row, l) in enumerate(zip(rows, left)):
        active = l != 0
        gradient[i // X][row[active]] += l[active][:, None] * right[i]
        touched[i // X][row[active]] = 1


def lazy_gradient(left, right, gradient, touched, X):
    """`rows_gradient` where a list would name all rows: left (S*X, O), right (S*X, I); adds to gradient (S, O, I), and
    marks the rows in touched (S, O)."""
    for s, (l, r) in enumerate(zip(by_stream(left, X), by_stream(right, X))):
        active = (l != 0).any(axis=0)
        gradient[s][active] += np.dot(l[:, active].T, r)
        touched[s][active] = 1


def entries_gradient(rows, left, bias_gradient, X):
    """rows, left (S*X, L); adds to bias_gradient (S, N)"""
    for s, (row, l) in enumerate(zip(by_stream(rows, X), by_stream(left, X))):
        bias_gradient[s] += np.bincount(row.reshape(-1), l.reshape(-1), bias_gradient.shape[1])


def synapse_gradient(rows, left, index, value, gradient, bias_gradient, touched, X, P):
    """rows, left (S*X, L), no row twice in a list with left != 0; index, value S*X x (A,); adds to gradient (S, N, P)
    and bias_gradient (S, N), and marks the rows in touched (S, N)"""
    if X > 1:  # all positions at once, added up in the same order
        _synapse_gradient(rows, left, index, value, gradient, bias_gradient, touched, X, P)
        return
    for s, (row, l) in enumerate(zip(rows, left)):
        row, l = row[l != 0], l[l != 0]
        gradient[s].reshape(-1)[row[:, None] * P + index[s]] += l[:, None] * value[s]
        bias_gradient[s][row] += l
        touched[s][row] = 1


def _synapse_gradient(rows, left, index, value, gradient, bias_gradient, touched, X, P):
    site, _ = there = left.nonzero()  # (U,)
    factor, row = left[there], rows[there] + site // X * gradient.shape[1]  # the row in all streams' gradients
    touched.reshape(-1)[row] = 1
    np.add.at(bias_gradient.reshape(-1), row, factor)
    lengths = np.array([len(sources) for sources in index])
    entries = lengths[site]
    ends = entries.cumsum()
    if not len(ends) or not ends[-1]:
        return
    at = np.arange(ends[-1]) + np.repeat((lengths.cumsum() - lengths)[site] - (ends - entries), entries)
    synapse = np.repeat(row * P, entries) + np.concatenate(index)[at]
    np.add.at(gradient.reshape(-1), synapse, np.repeat(factor, entries) * np.concatenate(value)[at])


def sampled_gradient(rows, left, index, value, sample, gradient, bias_gradient, touched, X, F, P):
    """As `synapse_gradient`, in the synapses that see an entry of the context: sample (1,); gradient (S, N, F)"""
    for i, (row, l) in enumerate(zip(rows, left)):
        row, l, s = row[l != 0], l[l != 0], i // X
        owner, a, synapse = visible(row, index[i], sample, F, P)
        gradient[s].reshape(-1)[synapse] += weight_of_visible(F, P) * l[owner] * value[i][a]
        bias_gradient[s][row] += l
        touched[s][row] = 1


def by_stream(x, X):
    """(S*X, D) -> (S, X, D)"""
    return x.reshape(-1, X, *x.shape[1:])


def _entries_loops(lanes, parts, S, X, share, **_):
    """Where each lane has entries of its own, and adds the sites up."""
    return turns(S * share, lanes) * (1 + X)


def _owner_loops(lanes, parts, S, X, L, N, wide, along):
    """Where `wide` lanes side by side own a class of a stream's rows, read all the lists, and do `along` turns in what
    is theirs."""
    owners = parts * (lanes // wide)
    classes = max(1, owners // S)
    return turns(S * classes, owners) * (1 + X * (1 + L + min(L, turns(N, classes)) * along))


def _outer_loops(lanes, parts, O, I, **sizes):
    return _entries_loops(lanes, parts, share=turns(O, parts) * I, **sizes)


def _rows_loops(lanes, parts, S, X, L, N, I, **_):
    wide = lanes_for(I, lanes)
    return _owner_loops(lanes, parts, S, X, L, N, wide, turns(I, wide))


def _synapse_loops(lanes, parts, S, X, L, N, room, **_):
    """As `_owner_loops`, but all lanes of a part look through the lists, 32 entries each at a time."""
    owned = max(1, parts // S)
    hits = X * min(L, turns(N, owned))
    return turns(S * owned, parts) * (1 + look_loops(lanes, X * L) + hits * (1 + turns(room, lanes)))


def look_loops(lanes, count):
    """All lanes look through `count` entries of lists (shaders/lib/owners.wgsl), without what they do at a hit."""
    return turns(count, 32 * lanes) * 33 + turns(count, 32)


def silenced(rng, *shape):
    """Numbers of which some are 0: a row with such a one is not touched."""
    return rng.normal(size=shape) * (rng.random(shape) < 0.6)


def _marks(rng, S, N):
    """Rows that an earlier use has touched."""
    return np.floor(1.3 * rng.random((S, N)))


def _example(rng, S, X, O, I):
    return {"left": silenced(rng, S * X, O), "right": rng.normal(size=(S * X, I)),
            "gradient": rng.normal(size=(S, O, I)), "bias_gradient": rng.normal(size=(S, O)),
            "touched": _marks(rng, S, O), "X": X, "O": O, "I": I, "D": O}


def _rows_example(rng, S, X, N, I, L):
    return {"rows": pick(rng, S * X, N, L), "left": silenced(rng, S * X, L), "right": rng.normal(size=(S * X, I)),
            "gradient": rng.normal(size=(S, N, I)), "bias_gradient": rng.normal(size=(S, N)),
            "touched": _marks(rng, S, N), "X": X, "L": L, "N": N, "I": I}


def _synapse_example(rng, S, X, N, P, L, A, F=None):
    index, value = ragged(rng, S * X, P, A)
    return {"rows": pick(rng, S * X, N, L), "left": silenced(rng, S * X, L), "index": index, "value": value,
            "sample": rng.integers(SAMPLES, size=1).astype(np.float64), "gradient": rng.normal(size=(S, N, F or P)),
            "bias_gradient": rng.normal(size=(S, N)), "touched": _marks(rng, S, N),
            "X": X, "L": L, "N": N, "P": P, "F": F, "room": A + 3}


OUTER_GRADIENT = Op(
    name="outer_gradient", shader="gradient", example=_example,
    passes=(
        Pass(outer_gradient, reads=("left", "right"), changes=("gradient",), consts=("X", "O", "I"), shared=True,
             rows="O", split=("gradient",), work=lambda X, O, I: X * O * I, loops=_outer_loops),
        Pass(lazy_gradient, reads=("left", "right"), changes=("gradient", "touched"), consts=("X", "O", "I"),
             shared=True, rows="O", work=lambda X, O, I: X * O * I, loops=_outer_loops),
        Pass(vector_gradient, reads=("left",), changes=("bias_gradient",), consts=("X", "D"), shared=True, rows="D",
             split=("bias_gradient",), work=lambda X, D: X * D,
             loops=lambda lanes, parts, D, **sizes: _entries_loops(
                 lanes, parts, share=turns(D, parts), **sizes) + sum_loops(lanes)),
    ),
    sizes=tuple({"S": S, "X": X, "O": O, "I": I} for S, X, O, I in [
        (1, 1, 1, 1), (1, 1, 255, 257), (1, 2, 256, 1), (1, 7, 13, 67), (3, 1, 131, 5), (5, 11, 7, 3), (257, 1, 5, 3),
        (2, 255, 3, 2), (1, 900, 1, 5), (1, 257, 9, 3)]),
)

ROWS_GRADIENT = Op(
    name="rows_gradient", shader="gradient", example=_rows_example,
    passes=(
        Pass(rows_gradient, reads=("rows", "left", "right"), changes=("gradient", "touched"),
             consts=("X", "L", "N", "I"), shared=True, rows="N", work=lambda X, L, I, **_: X * L * I,
             loops=_rows_loops),
        Pass(entries_gradient, reads=("rows", "left"), changes=("bias_gradient",), consts=("X", "L", "N"),
             shared=True, rows="N", work=lambda X, L, **_: X * L,
             loops=lambda lanes, parts, S, X, L, N, **_: _owner_loops(lanes, parts, S, X, L, N, 1, 1)),
    ),
    sizes=tuple({"S": S, "X": X, "N": N, "I": I, "L": L} for S, X, N, I, L in [
        (1, 1, 1, 1, 1), (1, 1, 1280, 255, 25), (1, 3, 257, 256, 13), (3, 1, 67, 257, 11), (4, 7, 13, 1, 5),
        (70, 2, 11, 5, 3), (1, 257, 7, 3, 2), (1100, 1, 3, 2, 2)]),
)

SYNAPSE_GRADIENT = Op(
    name="synapse_gradient", shader="gradient", example=_synapse_example,
    passes=(
        Pass(synapse_gradient, reads=("rows", "left", "index", "value"),
             changes=("gradient", "bias_gradient", "touched"), consts=("X", "L", "N", "P", "room"),
             shared=True, rows="N", work=lambda X, L, room, **_: X * L * room,
             loops=_synapse_loops),
    ),
    sizes=tuple({"S": S, "X": X, "N": N, "P": P, "L": L, "A": A} for S, X, N, P, L, A in [
        (1, 1, 1, 1, 1, 1), (1, 1, 7, 11, 1, 0), (1, 1, 131, 257, 67, 256), (1, 5, 37, 41, 11, 17),
        (3, 1, 60, 257, 13, 255), (2, 13, 5, 31, 3, 7), (33, 2, 11, 13, 5, 13), (300, 1, 3, 7, 2, 2)]),
)

SAMPLED_GRADIENT = Op(
    name="sampled_gradient", shader="gradient", example=_synapse_example, params=("sample",),
    passes=(
        Pass(sampled_gradient, reads=("rows", "left", "index", "value", "sample"),
             changes=("gradient", "bias_gradient", "touched"), consts=("X", "L", "N", "F", "P", "room"),
             structs=(SAMPLE_STRUCT,), shared=True, rows="N", work=lambda X, L, room, **_: X * L * room,
             loops=_synapse_loops),
    ),
    sizes=tuple({"S": S, "X": X, "N": N, "F": F, "P": P, "L": L, "A": A} for S, X, N, F, P, L, A in [
        (1, 1, 1, 1, 1, 1, 1), (1, 1, 131, 255, 257, 67, 256), (1, 5, 37, 19, 41, 11, 17), (3, 1, 60, 37, 257, 13, 255),
        (2, 13, 5, 31, 31, 3, 7), (33, 2, 11, 5, 13, 5, 13)]),
)
