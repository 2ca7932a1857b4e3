"""Maps: values at X positions of a stream, which lie in memory one position behind the other, as streams do. Users give
and get them with the channels in front, (D, H, W): these ops turn them over, and add positions up.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass


def map_forward(x, D, X):
    """x (S, D*X), channel after channel -> y (S*X, D), position after position"""
    return np.ascontiguousarray(x.reshape(-1, D, X).swapaxes(1, 2)).reshape(-1, D)


def flat_forward(x, D, X):
    """x (S*X, D) -> y (S, D*X), the other way round; each is the other's backward"""
    return np.ascontiguousarray(x.reshape(-1, X, D).swapaxes(1, 2)).reshape(-1, D * X)


def sites_forward(x, by, D, X):
    """x (S*X, D) -> y (S, D), `by` times the sum over the positions: 1 for a sum, 1/X for a mean"""
    return by * np.add.reduce(x.reshape(-1, X, D), axis=1)


def _elements(D, X, **_):
    return D * X


def _example(rng, S, D, X):
    flat = rng.normal(size=(S, D * X))
    return {"flat": flat, "x": map_forward(flat, D, X), "by": 1 / X, "D": D, "X": X}


SITES = Op(
    name="sites", shader="sites", example=_example, tolerance=1e-10,
    passes=(
        Pass(map_forward, reads=("flat",), writes=("x",), consts=("D", "X"), work=_elements),
        Pass(flat_forward, reads=("x",), writes=("flat",), consts=("D", "X"), work=_elements),
        Pass(sites_forward, reads=("x",), writes=("y",), consts=("by", "D", "X"), work=_elements,
             loops=lambda lanes, D, X, **_: -(-D // lanes) * (X + 1)),
    ),
    sizes=tuple({"S": S, "D": D, "X": X} for S, D, X in [
        (1, 1, 1), (1, 1, 257), (1, 255, 2), (3, 7, 15), (2, 257, 3), (1, 5, 256), (2, 4, 1)]),
)
