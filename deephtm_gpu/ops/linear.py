"""Matrix product of a dense layer: y = W x + b. Weights (O, I), one row per output."""

from deephtm_gpu.ops.spec import MANY, Op, Pass, lanes_for, turns


def linear_forward(x, weight, bias):
    """x (S, I), weight (O, I), bias (O,) -> y (S, O)"""
    y = x.dot(weight.T)  # `dot`, here and below, is a microsecond quicker than `@`
    y += bias
    return y


def linear_backward(dy, weight):
    """dy (S, O), weight (O, I) -> dx (S, I)"""
    return dy.dot(weight)


def _forward_loops(lanes, parts, S, I, O, **_):
    share, Q = turns(O, parts), turns(I, 4)
    if S >= MANY:
        return tile_loops(lanes, turns(S, 4) * turns(share, 4), Q)
    at_once = lanes_for(turns(share, 4), lanes)
    return turns(share, 4 * at_once) * S * (turns(Q, lanes // at_once) + 16)


def _backward_loops(lanes, parts, S, I, O, **_):
    share = turns(turns(I, 4), parts)
    if S >= MANY:
        return tile_loops(lanes, turns(S, 4) * share, O)
    at_once = lanes_for(turns(share, 4), lanes)
    return turns(share, 4 * at_once) * S * (turns(O, lanes // at_once) + 4 * 12 + 1)


def tile_loops(lanes, tiles, items):
    """Loop iterations where a lane makes a tile by adding up items, and the lanes left over share these."""
    at_once = lanes_for(tiles, lanes)
    return turns(tiles, at_once) * (turns(items, lanes // at_once) + 4 * 12 + 1)


def _example(rng, S, I, O):
    return {
        "x": rng.normal(size=(S, I)), "weight": rng.normal(size=(O, I)), "bias": rng.normal(size=O),
        "dy": rng.normal(size=(S, O)), "I": I, "O": O,
    }


LINEAR = Op(
    name="linear",
    shader="linear",
    matrices=("weight",),
    params=("bias",),
    passes=(
        Pass(linear_forward, reads=("x", "weight", "bias"), writes=("y",), consts=("I", "O"), shared=True,
             rows="O", tile=4, split=("weight", "bias", "y"), work=lambda I, O: I * O, loops=_forward_loops),
        Pass(linear_backward, reads=("dy", "weight"), writes=("dx",), consts=("I", "O"), shared=True,
             rows="I", tile=4, split=("dx",), work=lambda I, O: I * O, loops=_backward_loops),
    ),
    example=_example,
    sizes=tuple({"S": S, "I": I, "O": O} for S, I, O in
                [(1, 1, 1), (1, 1, 256), (1, 257, 3), (1, 256, 255), (1, 255, 257), (3, 7, 13), (4, 1, 1),
                 (5, 131, 67), (64, 33, 9),
                 (257, 13, 5)]),
)
