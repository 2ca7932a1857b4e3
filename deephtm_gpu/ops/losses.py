"""Losses. "mse" is half the squared error, summed over the outputs; "cross_entropy" is of softmax probabilities; "bce",
binary cross-entropy of a sigmoid for each output, summed over the outputs."""

import math

import numpy as np

from deephtm_gpu.ops.outlier import extent_example, outlier_factor
from deephtm_gpu.ops.spec import Op, Pass, elements

TINY = float(np.finfo(np.float32).tiny)  # the lowest probability that a logarithm is taken of


def mse_forward(y, target):
    """y, target (S, D) -> loss (S, 1)"""
    error = y - target
    return 0.5 * np.add.reduce(error * error, axis=1, keepdims=True)


def mse_backward(y, target, extent):
    """y, target (S, D) -> dy (S, D) = y - target, shortened where it is far longer than errors have been: see
    `outlier.py`. Changes extent (S, 2)."""
    dy = y - target
    for error, seen in zip(dy, extent):
        factor = outlier_factor(math.sqrt(error.dot(error)), seen)
        if factor != 1:
            error *= factor
    return dy


def softmax_forward(y):
    """y (S, D) -> probability (S, D)"""
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy_forward(probability, target):
    """probability, target (S, D), the target's rows summing to 1 -> loss (S, 1)"""
    return -(target * np.log(np.maximum(probability, TINY))).sum(axis=1, keepdims=True)


def cross_entropy_backward(probability, target):
    """probability, target (S, D) -> dy (S, D), the gradient into what softmax was taken of"""
    return probability - target


def sigmoid_forward(y):
    """y (S, D) -> probability (S, D), each by itself"""
    return 1 / (1 + np.exp(-y))


def bce_forward(probability, target):
    """probability, target (S, D) in 0..1 -> loss (S, 1). The gradient into y is that of `cross_entropy_backward`."""
    p, q = np.maximum(probability, TINY), np.maximum(1 - probability, TINY)
    return -(target * np.log(p) + (1 - target) * np.log(q)).sum(axis=1, keepdims=True)


def mask_backward(dy, share):
    """dy (S, D), share (S, 1) -> dmasked (S, D): dy for active streams, 0 for the others, whose share is 0"""
    return np.where(share > 0, dy, 0)


def surprise_forward(probability, target, surprise):
    """How little the step before expected the symbol that now arrived; changes surprise (S, 1)."""
    surprise[...] = 1 - (probability * target).sum(axis=1, keepdims=True)


def _mse_example(rng, S, D):
    y, target = rng.normal(size=(2, S, D))
    return {"y": y, "target": target, "extent": extent_example(rng, np.linalg.norm(y - target, axis=1)), "D": D}


def _bce_example(rng, S, D):
    y = 3 * rng.normal(size=(S, D))
    share = rng.random((S, 1)) * (np.arange(S)[:, None] != 1)  # stream 1 is not active
    return {"y": y, "probability": sigmoid_forward(y), "target": rng.random((S, D)), "dy": rng.normal(size=(S, D)),
            "share": share,
            "D": D}


def _softmax_example(rng, S, D):
    y = 3 * rng.normal(size=(S, D))
    return {"y": y, "probability": softmax_forward(y), "target": np.eye(D)[rng.integers(D, size=S)],
            "surprise": np.ones((S, 1)), "D": D}


_SIZES = tuple({"S": S, "D": D} for S, D in [(1, 1), (1, 2), (1, 255), (1, 256), (3, 257), (2, 1031)])

MSE = Op(
    name="mse", shader="losses", example=_mse_example, sizes=_SIZES + ({"S": 7, "D": 13},),
    passes=(
        Pass(mse_forward, reads=("y", "target"), writes=("loss",), consts=("D",), work=elements),
        Pass(mse_backward, reads=("y", "target"), changes=("extent",), writes=("dy",), consts=("D",), work=elements),
    ),
)

CROSS_ENTROPY = Op(
    name="cross_entropy", shader="losses", example=_softmax_example, sizes=_SIZES,
    passes=(
        Pass(softmax_forward, reads=("y",), writes=("probability",), consts=("D",), work=elements),
        Pass(cross_entropy_forward, reads=("probability", "target"), writes=("loss",), consts=("D",), work=elements),
        Pass(cross_entropy_backward, reads=("probability", "target"), writes=("dy",), consts=("D",), work=elements),
        Pass(surprise_forward, reads=("probability", "target"), changes=("surprise",), consts=("D",), work=elements),
    ),
)

BCE = Op(
    name="bce", shader="losses", example=_bce_example, sizes=_SIZES,
    passes=(
        Pass(sigmoid_forward, reads=("y",), writes=("probability",), consts=("D",), work=elements),
        Pass(bce_forward, reads=("probability", "target"), writes=("loss",), consts=("D",), work=elements),
    ),
)

MASK = Op(
    name="mask", shader="losses", example=_bce_example, sizes=_SIZES, tolerance=1e-10,
    passes=(Pass(mask_backward, reads=("dy", "share"), writes=("dmasked",), consts=("D",), work=elements),),
)
