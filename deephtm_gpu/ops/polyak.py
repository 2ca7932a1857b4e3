"""How long a step is, from the norms of the gradients.

The stochastic Polyak step (Loizou, Vaswani, Laradji & Lacoste-Julien 2021): as far as the sample's error says.

kappa = |dy|^2 / (sum scale * |g|^2 + 1e-12), per stream; a stream's gradient is a product of two vectors, so its
squared norm is the product of theirs and no gradient is materialised. With S streams each makes its own step and the
steps are averaged (Cimmino's averaged projections), so that S copies of one stream do what one stream does. Where a
prediction waits several steps for its target, as many steps are made from weights that have not seen each other: they
are shared alike.

`squares` (S, Q) collects the numbers: the squared output errors first, then scale * |g|^2 of every parameter.

Clipping shortens each stream's gradient by itself (as in differentially private learning), for the same reason.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements, sum_loops, turns
from deephtm_gpu.ops.synapse import ragged


def vector_square(left, squares, slot, scale, D):
    """left (S, D); changes squares (S, Q) in column `slot`: scale * |left|^2"""
    for s, d in enumerate(left):
        squares[s, slot] = scale * d.dot(d)


def outer_square(left, right, squares, slot, scale, D, I):
    """left (S, D), right (S, I); changes squares (S, Q) in column `slot`: scale * |left|^2 * (|right|^2 + 1), the
    weights and the bias that goes with left"""
    for s, (d, x) in enumerate(zip(left, right)):
        squares[s, slot] = scale * d.dot(d) * (x.dot(x) + 1)


def product_square(left, right, squares, slot, scale, D, I):
    """As `outer_square`, of weights without a bias: scale * |left|^2 * |right|^2"""
    for s, (d, x) in enumerate(zip(left, right)):
        squares[s, slot] = scale * d.dot(d) * x.dot(x)


def ragged_square(left, index, value, squares, slot, scale, D):
    """left (S, D), index and value S x (A,) (the index only for its length); changes squares (S, Q) in column `slot`:
    scale * |left|^2 * (|value|^2 + 1), likewise"""
    for s, (d, v) in enumerate(zip(left, value)):
        squares[s, slot] = scale * d.dot(d) * (v.dot(v) + 1)


def polyak_forward(squares, share, waiting, coef, outputs, Q):
    """squares (S, Q), of which the first `outputs` are errors; share (S, 1): what each stream counts for in the mean
    over them; waiting: steps from a prediction to its target. Changes coef (S, 1)."""
    for s, numbers in enumerate(squares.tolist()):  # so few that Python adds them up sooner
        coef[s, 0] = share[s, 0] * sum(numbers[:outputs]) / ((sum(numbers[outputs:]) + 1e-12) * waiting)


def clip_forward(squares, whole, coef, longest, Q):
    """squares (S, Q): |g|^2 of every parameter; whole (S, 1): what each stream's gradient counts for unclipped. Changes
    coef (S, 1): `whole`, less by what shortens the stream's whole gradient to `longest` where it is longer"""
    coef[...] = whole * (longest / np.maximum(np.sqrt(squares.sum(axis=1, keepdims=True)), longest))


def _example(rng, S, D, I, Q, A, longest):
    index, value = ragged(rng, S, 4 * A + 1, A)
    return {
        "left": rng.normal(size=(S, D)),
        "right": rng.normal(size=(S, I)),
        "index": index,
        "value": value,
        "squares": rng.random((S, Q)),
        "share": rng.random((S, 1)),
        "whole": rng.random((S, 1)),
        "coef": rng.random((S, 1)),
        "longest": longest,
        "slot": Q - 1,
        "scale": 0.25,
        "outputs": 1,
        "waiting": float(Q),
        "D": D,
        "I": I,
        "Q": Q,
    }


POLYAK = Op(
    name="polyak",
    shader="polyak",
    example=_example,
    passes=(
        Pass(vector_square, reads=("left",), changes=("squares",), consts=("slot", "scale", "D"), work=elements),
        Pass(
            outer_square,
            reads=("left", "right"),
            changes=("squares",),
            consts=("slot", "scale", "D", "I"),
            work=elements,
        ),
        Pass(
            product_square,
            reads=("left", "right"),
            changes=("squares",),
            consts=("slot", "scale", "D", "I"),
            work=elements,
        ),
        Pass(
            ragged_square,
            reads=("left", "index", "value"),
            changes=("squares",),
            consts=("slot", "scale", "D"),
            work=elements,
            loops=lambda lanes, A, D, **_: turns(A, lanes) + turns(D, lanes) + 2 * sum_loops(lanes),
        ),
        Pass(
            polyak_forward,
            reads=("squares", "share", "waiting"),
            changes=("coef",),
            consts=("outputs", "Q"),
            loops=lambda Q, **_: Q,
        ),
        Pass(
            clip_forward, reads=("squares", "whole"), changes=("coef",), consts=("longest", "Q"), loops=lambda Q, **_: Q
        ),
    ),
    sizes=tuple(
        {"S": S, "D": D, "I": I, "Q": Q, "A": A, "longest": c}
        for S, D, I, Q, A, c in [
            (1, 1, 1, 2, 0, 0.1),
            (1, 256, 256, 12, 255, 100.0),
            (1, 25, 257, 3, 131, 0.5),
            (3, 255, 13, 7, 256, 1.7),
        ]
    ),
)
