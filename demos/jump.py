"""A sine that jumps: how surprised is a memory that has learned its rhythm? Run it with: python demos/jump.py"""

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine

PERIOD, AFTER = 50, 120  # steps in a period; steps from the jump to the end


def demo(steps=6_000, seed=0, device="auto"):
    # 1. The data: a sine whose phase jumps by a quarter of a period shortly before the end, from 0 directly to 1. Both
    #    values came hundreds of times before; only their order is new.
    jump_at = max(steps - AFTER, 0) // PERIOD * PERIOD
    series = sine(max(steps, 1), PERIOD, jump_at=jump_at, jump=np.pi / 2)  # (6000, 1) float32

    # 2. The network of demos/sine.py, with ten winning columns instead of five.
    net = dh.Sequential(
        dh.Linear(256), dh.ReLU(),
        dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=10),
        dh.TemporalMemory(cells_per_column=5, decay=0.8),
        dh.Linear(256), dh.ReLU(),
        dh.Linear(1),
    )
    model = dh.Model(net, input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=seed, device=device)

    # 3. Watch the anomaly score: the share of the winning columns that the memory had not predicted. It is
    #    `history.anomaly` at every step. A column that was not predicted is drawn in orange.
    lines = {"memoryless floor": memoryless_floor(PERIOD), "persistence": persistence_rmse(PERIOD)}
    title = "A sine that jumps: what DeepHTM did not expect"
    show = view.SeriesShow(model, series, title, lines=lines, limits=(-1.25, 1.25))
    show.jump_at = jump_at
    return show


def report(show):
    """The score at the jump, and how many standard deviations of the 1,000 steps before it is above their mean."""
    before = show.anomaly[max(show.jump_at - 1000, 0) : show.jump_at].astype(np.float64)
    figures = {"jump_at": show.jump_at, "anomaly_at_the_jump": None, "anomaly_before": None, "deviations": None}
    if show.done <= show.jump_at or len(before) < 2:
        return figures | {"shown": {"Anomaly score at the jump": "the jump has not come yet"}}
    score, base = float(show.anomaly[show.jump_at]), float(before.mean())
    deviations = (score - base) / max(float(before.std()), 1e-9)
    rmse = view.rmse_after(show.error, show.jump_at)
    figures |= {"anomaly_at_the_jump": score, "anomaly_before": base, "deviations": deviations, "rmse_300_before": rmse}
    return figures | {"shown": {
        "Anomaly score at the jump": f"{score:.3f}; mean of the 1,000 steps before {base:.3f}: {deviations:.0f} "
                                     "standard deviations",
        "RMSE of the 300 steps before": f"{rmse:.4f}",
    }}


if __name__ == "__main__":
    script("jump", globals())
