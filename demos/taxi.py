"""Taxi passengers in New York, five half-hours ahead, learned in one pass. Run it with: python demos/taxi.py"""

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import demo_folder, script
from deephtm_gpu.learner import Learner
from deephtm_gpu.sources.csv_file import CsvStream

AHEAD, WEEK, SETTLED_AFTER = 5, 336, 5000  # half-hours; the error counts from SETTLED_AFTER on


def demo(steps=10_320, seed=0, device="auto"):
    # 1. The data: the passengers of each half-hour, with timestamps. Some weeks are unusual: the marathon in November,
    #    then Thanksgiving, Christmas, New Year and a snow storm.
    with CsvStream(str(demo_folder() / "data" / "nyc_taxi.csv"), "value", "timestamp") as stream:
        rows = [row for chunk in stream.chunks() for row in chunk]
    values = np.array([row.value for row in rows])  # (10320,)

    # 2. The model, the one of `deephtm run` for any CSV file. It sees the change over AHEAD rows and the value, both
    #    scaled online, and the clock: two harmonics of the time of day, and the weekday.
    learner = Learner(AHEAD, timed=True, optimizer=dh.SGD(0.01), seed=seed, device=device)

    # 3. Watch it. The prediction made at half-hour t, for t + 5, is learned when that value arrives, never before.
    def learn(begin, end):
        learner.learn(rows[begin:end])
        return learner.forecast, learner.history

    trivial = {"persistence": float(np.abs(values[AHEAD:] - values[:-AHEAD]).mean()),
               "same slot last week": float(np.abs(values[WEEK:] - values[:-WEEK]).mean())}
    show = view.SeriesShow(
        learner.model, values[:max(steps, 1)], "New York taxi: passengers, 2½ hours ahead", ahead=AHEAD, learn=learn,
        lines=trivial, limits=(0, 32_000), steps=WEEK, time="half-hours", value="passengers in half an hour",
        error="|error|, and the mean of trivial forecasts", error_limits=(10, 30_000))
    show.comparison = learner.comparison
    return show


def report(show):
    """The MAPE, sum of |errors| over sum of values, of the model and of the trivial forecasts, from row 5,000 on."""
    settled = show.done > SETTLED_AFTER
    part = show.comparison.late if settled else show.comparison.whole
    mape = {name: error.percent for name, error in part.items()}
    text = ", ".join(f"{name} {'-' if percent is None else f'{percent:.1f} %'}" for name, percent in mape.items())
    return {"mape_percent": mape, "from_row": SETTLED_AFTER if settled else 0,
            "shown": {f"MAPE, {AHEAD} half-hours ahead": text}}


if __name__ == "__main__":
    script("taxi", globals())
