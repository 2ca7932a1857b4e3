"""RunningNorm: subtract a running mean, divide by the root mean square over the features (MODEL: encoder, step 2).

The mean is a constant in backward. It is the mean over the streams, and over the positions of a map, that moves it, so
that S copies of one stream do what one stream does.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements, mean_product, root_mean_square, turns

SLOWEST = 0.001  # the rate at which the mean moves in the long run; at first it is the plain average


def running_mean_update(x, share, mean, count, X=1):
    """x (S*X, D), share (S, 1), what each stream counts for, summing to 1; changes mean (D,) and count (1,), the steps
    seen so far (it stands still where it no longer matters)."""
    rate = max(SLOWEST, 1 / (float(count[0]) + 1))
    now = x[0]
    if len(x) > 1:  # as seen from the first stream, so that copies of a stream give that stream to the bit
        share = share[:, 0] if X == 1 else np.repeat(share[:, 0] / X, X)
        now = now + share[1:] @ (x[1:] - now)
    mean += rate * (now - mean)
    count[0] = min(count[0] + 1, 1 / SLOWEST)


def running_norm_forward(x, mean):
    """x (S, D), mean (D,) -> y (S, D), scale (S, 1)"""
    centred = x - mean  # (S, D)
    scale = root_mean_square(centred)  # (S, 1)
    return centred / scale, scale


def running_norm_backward(dy, y, scale):
    """dy, y (S, D), scale (S, 1) -> dx (S, D)"""
    return (dy - mean_product(dy, y) * y) / scale


def _example(rng, S, D, seen=3, X=1):
    mean = rng.normal(size=D)
    # A single feature is normed to +-1 but for EPSILON, and its gradient is what rounding leaves: stay where EPSILON counts.
    x = mean + (0.01 if D == 1 else 1.0) * rng.normal(size=(S * X, D))
    y, scale = running_norm_forward(x, mean)
    share = rng.random((S, 1))
    return {"x": x, "share": share / share.sum(), "mean": mean, "count": np.array([float(seen)]), "y": y, "scale": scale,
            "dy": rng.normal(size=(S * X, D)), "D": D, "X": X}


RUNNING_NORM = Op(
    name="running_norm",
    shader="running_norm",
    matrices=(),
    params=("mean", "count"),
    passes=(
        Pass(running_mean_update, reads=("x", "share"), changes=("mean", "count"), consts=("D", "X"), shared=True,
             work=lambda D, X: D * X, loops=lambda lanes, S, D, X, **_: turns(D, lanes) * (S * X + 1)),
        Pass(running_norm_forward, reads=("x", "mean"), writes=("y", "scale"), consts=("D",), work=elements),
        Pass(running_norm_backward, reads=("dy", "y", "scale"), writes=("dx",), consts=("D",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "D": D, "seen": seen, "X": X} for S, D, seen, X in
                [(1, 1, 0, 1), (1, 255, 1, 1), (1, 256, 2000, 1), (3, 257, 7, 1), (2, 13, 999, 1), (1, 5, 3, 257),
                 (3, 7, 1, 15)]),
)
