"""Rectified linear unit: y = max(x, 0). NaN stays NaN."""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements


def relu_forward(x):
    """x (S, D) -> y (S, D)"""
    return np.maximum(x, 0)


def relu_backward(dy, y):
    """dy, y (S, D) -> dx (S, D)"""
    return dy * np.sign(y)  # y is never negative; half the time of y > 0, whose truth values must become numbers


def _example(rng, S, D):
    x = rng.normal(size=(S, D))
    return {"x": x, "y": np.maximum(x, 0), "dy": rng.normal(size=(S, D)), "D": D}


RELU = Op(
    name="relu",
    shader="relu",
    passes=(
        Pass(relu_forward, reads=("x",), writes=("y",), consts=("D",), work=elements),
        Pass(relu_backward, reads=("dy", "y"), writes=("dx",), consts=("D",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "D": D} for S, D in [(1, 1), (1, 255), (1, 256), (3, 257), (2, 1031)]),
    tolerance=1e-10,
)
