"""RunningNorm: subtract a running mean, divide by the root mean square over the features (MODEL: encoder, step 2).

The mean is a constant in backward. It is the mean over the streams that moves it, so that S copies of one stream do
what one stream does.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements, mean_product, root_mean_square, turns

SLOWEST = 0.001  # the rate at which the mean moves in the long run; at first it is the plain average


def running_mean_update(x, share, mean, count):
    """x (S, D), share (S, 1), what each stream counts for, summing to 1; changes mean (D,) and count (1,), the steps seen so far (it stands still where it no longer matters)."""
    rate = max(SLOWEST, 1 / (float(count[0]) + 1))
    now = x[0]
    if len(x) > 1:  # as seen from the first stream, so that copies of a stream give that stream to the bit
        now = now + share[1:, 0] @ (x[1:] - now)
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


def _example(rng, S, D, seen=3):
    mean = rng.normal(size=D)
    # A single feature is normed to +-1 but for EPSILON, and its gradient is what rounding leaves: stay where EPSILON counts.
    x = mean + (0.01 if D == 1 else 1.0) * rng.normal(size=(S, D))
    y, scale = running_norm_forward(x, mean)
    share = rng.random((S, 1))
    return {"x": x, "share": share / share.sum(), "mean": mean, "count": np.array([float(seen)]), "y": y, "scale": scale,
            "dy": rng.normal(size=(S, D)), "D": D}


RUNNING_NORM = Op(
    name="running_norm",
    shader="running_norm",
    matrices=(),
    params=("mean", "count"),
    passes=(
        Pass(running_mean_update, reads=("x", "share"), changes=("mean", "count"), consts=("D",), work=elements, shared=True,
             loops=lambda lanes, S, D, **_: turns(D, lanes) * S),
        Pass(running_norm_forward, reads=("x", "mean"), writes=("y", "scale"), consts=("D",), work=elements),
        Pass(running_norm_backward, reads=("dy", "y", "scale"), writes=("dx",), consts=("D",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "D": D, "seen": seen} for S, D, seen in
                [(1, 1, 0), (1, 255, 1), (1, 256, 2000), (3, 257, 7), (2, 13, 999), (257, 5, 3)]),
)
