"""Predicted columns and the anomaly score (MODEL: "Predicted columns and anomaly").

Each column has a logistic unit that looks at the context and says how likely the column is to win next. It learns
locally, with no gradient into the network: the K winners are told 1, at most 4K random losers are told 0. The anomaly
score is the share of the winners' activity that was not predicted. Where no winner is active, as in a series that has been constant
since its first step, nothing is unexpected: the score is 0.
"""

from functools import lru_cache

import numpy as np

from deephtm_gpu.ops.mix import mix32
from deephtm_gpu.ops.sparse_linear import pick
from deephtm_gpu.ops.spec import Op, Pass

LOSERS = 4  # per winner
RATE, BIAS_RATE, FIRST_BIAS = 1.0, 0.1, -3.0
LEAST = 1e-12  # of the winners' activity together: below, none is active
AT_ONCE = 64  # steps that losers are drawn for at once


def losers_forward(winners, t, seed, K, C, R):
    """winners (S, K), t: the step's number, seed (S, 1): the same for all -> rows (S, K+R): the winners, then R columns drawn one from each of R equal
    stretches of the C columns, so that none is drawn twice (it may be a winner: `head_forward` leaves it out)."""
    rows = np.empty((len(winners), K + R), winners.dtype)
    rows[:, :K] = winners
    rows[:, K:] = _losers(int(seed[0, 0]), t // AT_ONCE, C, R)[t % AT_ONCE]  # the same for all, so that copies stay copies
    return rows


def head_forward(logit, rows, activity, K, R):
    """logit, rows (S, K+R), activity (S, K) -> anomaly (S, 1), delta (S, K+R): the gradient of the logistic loss,
    0 for a drawn column that is a winner"""
    likely = 1 / (1 + np.exp(-logit))  # (S, K+R)
    anomaly = np.empty((len(activity), 1), likely.dtype)  # (S, 1)
    for s, a in enumerate(activity):
        total = np.add.reduce(a)
        anomaly[s, 0] = 0 if total <= LEAST else 1 - a.dot(likely[s, :K]) / total
    winner = np.logical_or.reduce(rows[:, K:, None] == rows[:, None, :K], axis=2)  # (S, R)
    likely[:, :K] -= 1
    likely[:, K:][winner] = 0
    return anomaly, likely


@lru_cache(maxsize=16)  # of so many memories that step side by side
def _losers(seed, block, C, R):
    """The columns drawn in steps block * AT_ONCE .. (block + 1) * AT_ONCE - 1, (AT_ONCE, R): to draw for one step costs nearly as
    much."""
    # Each word is mixed in before the next comes: a sum of them would repeat itself from step to step.
    t = (block * AT_ONCE + np.arange(AT_ONCE)).astype(np.uint32)[:, None]  # (AT_ONCE, 1)
    drawn = mix32(mix32(np.uint32(seed & 0xFFFFFFFF) ^ t) ^ np.arange(R, dtype=np.uint32))  # (AT_ONCE, R)
    bounds = np.arange(R + 1) * C // R
    return bounds[:-1] + drawn % (bounds[1:] - bounds[:-1])


def _losers_example(rng, S, C, K, R):
    return {"winners": pick(rng, S, C, K), "t": int(rng.integers(2**31)), "seed": np.full((S, 1), rng.integers(2**32)), "K": K, "C": C, "R": R}


def _head_example(rng, S, C, K, R, active=1.0):
    """active: a factor of the winners' activity; in stream 1 none is active."""
    rows = np.concatenate([pick(rng, S, C, K), pick(rng, S, C, R)], axis=1)
    activity = active * rng.random((S, K)) * (np.arange(S)[:, None] != 1)
    return {"logit": 3 * rng.normal(size=(S, K + R)), "rows": rows, "activity": activity, "K": K, "R": R}


_SIZES = tuple({"S": S, "C": C, "K": K, "R": R} for S, C, K, R in [
    (1, 2, 1, 2), (1, 256, 5, 20), (1, 257, 67, 257), (3, 255, 7, 28), (2, 1031, 1, 4), (1, 1600, 400, 1600)])
_ACTIVE_SIZES = _SIZES + tuple({"S": 1, "C": 5, "K": 3, "R": 5, "active": active} for active in (0.0, 1e-20, 1e-9))

LOSERS_OP = Op(
    name="losers", shader="head",
    passes=(Pass(losers_forward, reads=("winners", "t", "seed"), writes=("rows",), consts=("K", "C", "R"), work=lambda K, R, **_: K + R),),
    example=_losers_example, sizes=_SIZES, tolerance=0.0,
)

HEAD = Op(
    name="head", shader="head",
    passes=(Pass(head_forward, reads=("logit", "rows", "activity"), writes=("anomaly", "delta"), consts=("K", "R"),
                 loops=lambda lanes, K, R, **_: -(-(K + R) // lanes) * (K + 1) + 32),),
    example=_head_example, sizes=_ACTIVE_SIZES,
)
