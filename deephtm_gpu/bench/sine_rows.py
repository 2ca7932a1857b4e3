"""The rows of the learning table on the sine: clean regression."""

from functools import partial

import numpy as np

from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine

STEPS, LAST = 10_000, 300
JUMP = np.pi / 2  # radians, the largest change of the value without a change of direction
BEFORE = 1000  # steps before the jump, over which the base is taken


def _rmse(seed, device, winners, period=50.0, gate="entmax") -> Figures:
    """The RMSE of the last 300 of 10,000 online steps."""
    series = sine(STEPS, period)
    prediction = post_model(winners, gate, seed, device).fit(series).prediction
    return {"RMSE": float(np.sqrt(np.mean((prediction[-LAST - 1:-1] - series[-LAST:]) ** 2)))}


def _jump(seed, device) -> Figures:
    """The anomaly score at a phase jump, after 10,000 steps of period 50.

    base: the mean over the 1,000 steps before. at the jump: the score. deviations: how many standard deviations it is
    above base.
    """
    scores = post_model(10, seed=seed, device=device).fit(sine(STEPS + 5, jump_at=STEPS, jump=JUMP)).anomaly
    before = scores[STEPS - BEFORE:STEPS].astype(np.float64)
    return {"base": float(before.mean()), "at the jump": float(scores[STEPS]),
            "deviations": float((scores[STEPS] - before.mean()) / before.std())}


def _trivial(seed, period=50.0) -> Figures:
    return {"memoryless floor": memoryless_floor(period), "persistence": persistence_rmse(period)}


SINE_ROWS = (
    Row("sine, K = 10", partial(_rmse, winners=10), (Bound("RMSE", mean=0.003, each=0.005),), _trivial),
    Row("sine, K = 5 (the post's)", partial(_rmse, winners=5), (Bound("RMSE", mean=0.006, each=0.010),), _trivial),
    Row(
        "sine, period 47.3137",
        partial(_rmse, winners=10, period=47.3137),
        (Bound("RMSE", each=0.010),),
        partial(_trivial, period=47.3137),
    ),
    Row(
        "control: no memory, sine", partial(_rmse, winners=10, gate="uniform"), (Bound("RMSE", above=0.085),), _trivial
    ),
    Row(
        "anomaly at a phase jump",
        _jump,
        (Bound("base", each=0.05), Bound("at the jump", above=0.9), Bound("deviations", above=15)),
    ),
)
