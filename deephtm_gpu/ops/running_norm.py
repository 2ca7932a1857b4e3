"""RunningNorm: subtract a running mean, divide by the root mean square over the features (MODEL: encoder, step 2).

The mean is a constant in backward. It is the mean over the streams, and over the positions of a map, that moves it, so
that S copies of one stream do what one stream does.

In the first step x is the mean itself, y is 0, and the norm is the root of EPSILON, .01. A gradient through it would be
a hundred times as long, in a direction that says nothing: there is none where the mean square of x - mean is below
EPSILON. Likewise in a series that stays constant.
"""

import math

import numpy as np

from deephtm_gpu.ops.outlier import extent_example, outlier_factor
from deephtm_gpu.ops.spec import Op, Pass, elements, root_mean_square, sum_loops, turns, unit_backward

SLOWEST = 0.001  # the rate at which the mean moves in the long run; at first it is the plain average


def running_mean_update(x, share, mean, count, extent, X=1):
    """x (S*X, D), share (S, 1), what each stream counts for, summing to 1; changes mean (D,), count (1,), the steps
    seen so far (it stands still where it no longer matters), and extent (2,): a mean moved by an outlier would take
    thousands of steps to come back, see `outlier.py`."""
    rate = max(SLOWEST, 1 / (float(count[0]) + 1))
    now = x[0]
    if len(x) > 1:  # as seen from the first stream, so that copies of a stream give that stream to the bit
        share = share[:, 0] if X == 1 else np.repeat(share[:, 0] / X, X)
        now = now + share[1:] @ (x[1:] - now)
    move = now - mean  # (D,)
    mean += rate * outlier_factor(math.sqrt(move.dot(move)), extent) * move
    count[0] = min(count[0] + 1, 1 / SLOWEST)


def running_norm_forward(x, mean):
    """x (S, D), mean (D,) -> y (S, D), scale (S, 1)"""
    centred = x - mean  # (S, D)
    scale = root_mean_square(centred)  # (S, 1)
    return centred / scale, scale


def running_norm_backward(dy, y, scale):
    """dy, y (S, D), scale (S, 1) -> dx (S, D), 0 where x is nearly the mean: see `unit_backward`"""
    return unit_backward(dy, y, scale)


def _example(rng, S, D, seen=3, X=1, spread=1.0):
    """spread: of x about the mean; 0.005: so little that there is no gradient."""
    mean = rng.normal(size=D)
    x = mean + spread * rng.normal(size=(S * X, D))
    if D == 1:  # normed to +-1 but for EPSILON, and its gradient is what rounding leaves: stay where EPSILON counts
        x = mean + 0.02 * rng.choice([-1.0, 1.0], (S * X, D))
    y, scale = running_norm_forward(x, mean)
    share = rng.random((S, 1))
    share /= share.sum()
    move = np.repeat(share / X, X, axis=0).T @ x - mean  # (1, D)
    extent = extent_example(rng, np.linalg.norm(move, axis=1))[0]  # (2,)
    return {"x": x, "share": share, "mean": mean, "count": np.array([float(seen)]), "extent": extent, "y": y,
            "scale": scale, "dy": rng.normal(size=(S * X, D)), "D": D, "X": X}


RUNNING_NORM = Op(
    name="running_norm",
    shader="running_norm",
    matrices=(),
    params=("mean", "count", "extent"),
    passes=(
        Pass(running_mean_update, reads=("x", "share"), changes=("mean", "count", "extent"), consts=("D", "X"),
             shared=True, work=lambda D, X: D * X,
             loops=lambda lanes, S, D, X, **_: 2 * turns(D, lanes) * (S * X + 1) + sum_loops(lanes)),
        Pass(running_norm_forward, reads=("x", "mean"), writes=("y", "scale"), consts=("D",), work=elements),
        Pass(running_norm_backward, reads=("dy", "y", "scale"), writes=("dx",), consts=("D",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "D": D, "seen": seen, "X": X, "spread": spread} for S, D, seen, X, spread in
                [(1, 1, 0, 1, 1.0), (1, 255, 1, 1, 1.0), (1, 256, 2000, 1, 0.1), (3, 257, 7, 1, 1.0),
                 (2, 13, 999, 1, 1.0), (1, 5, 3, 257, 1.0), (3, 7, 1, 15, 1.0), (2, 131, 5, 1, 0.005),
                 (257, 5, 3, 1, 1.0)]),
)
