"""DeepHTM's first experiment: learn a sine online, one step at a time. Run it with: python demos/sine.py"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine
from deephtm_gpu.errors import UserError

CHECKPOINTS = (1000, 4000, 10000)  # steps, those of the forum post's pictures


def demo(steps=10_000, seed=0, device="auto", period=50.0, winners=5):
    if period > view.LAST:
        raise UserError(f"--period must be at most {view.LAST}, the steps of an RMSE, got {period:g}.")
    # 1. The data: one number per step, 50 steps per period. The network sees only the present number.
    series = sine(max(steps, 1), period)  # (10000, 1) float32

    # 2. The network. Each winning column has five cells; the steps before decide which of them are active.
    net = dh.Sequential(
        dh.Linear(256), dh.ReLU(),
        dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners),
        dh.TemporalMemory(cells_per_column=5, decay=0.8),
        dh.Linear(256), dh.ReLU(),
        dh.Linear(1),
    )

    # 3. The model. At every step it predicts the next value, and learns when that arrives: model.fit(series).
    model = dh.Model(net, input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=seed, device=device)

    # 4. Watch it learn. A sine has the same value when it rises and when it falls, so the error of a predictor without
    #    memory is at least the memoryless floor. Persistence predicts that the next value is the present one.
    lines = {"memoryless floor": memoryless_floor(period), "persistence": persistence_rmse(period)}
    title = f"DeepHTM learns a sine of period {period:g}"
    return view.SeriesShow(model, series, title, lines=lines, limits=(-1.25, 1.25))


def report(show):
    """The RMSE of the last 300 steps."""
    checkpoints = [steps for steps in CHECKPOINTS if steps < show.done] + [show.done]
    reached = [view.rmse_after(show.error, steps) if steps else float("nan") for steps in checkpoints]
    return {
        "checkpoints": [{"steps": steps, "rmse_last_300": rmse} for steps, rmse in zip(checkpoints, reached)],
        "rmse_last_300": reached[-1],
        "shown": {f"RMSE of the last 300, after {n:>6,} steps": f"{rmse:.4f}" for n, rmse in zip(checkpoints, reached)},
    }


if __name__ == "__main__":
    script("sine", globals())
