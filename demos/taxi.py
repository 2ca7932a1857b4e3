"""Taxi passengers in New York, five half-hours ahead, learned in one pass. Run it with: python demos/taxi.py"""

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import demo_folder, script
from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.learner import Learner

AHEAD, WEEK, LATER = 5, 336, 5000  # half-hours; LATER: from here on learning counts as settled


def demo(steps=10_320, seed=0, device="auto"):
    # 1. The data: how many passengers in each half-hour, with time stamps. In November the marathon, then Thanksgiving,
    #    Christmas, New Year and a snow storm: weeks that are unlike the others.
    with CsvStream(str(demo_folder() / "data" / "nyc_taxi.csv"), "value", "timestamp") as stream:
        rows = [row for chunk in stream.chunks() for row in chunk]
    values = np.array([row.value for row in rows])  # (10320,)

    # 2. The model: `deephtm run` learns any CSV file with this one. It sees the value, scaled online, and the clock: two
    #    harmonics of the time of day, and the weekday.
    learner = Learner(AHEAD, timed=True, optimizer=dh.SGD(0.01), seed=seed, device=device)

    # 3. Watch it. What is predicted at half-hour t, for t + 5, is learned from when that arrives, and never before.
    def learn(begin, end):
        learner.learn(rows[begin:end])
        return learner.forecast, learner.history

    trivial = {"persistence": float(np.abs(values[AHEAD:] - values[:-AHEAD]).mean()),
               "same slot last week": float(np.abs(values[WEEK:] - values[:-WEEK]).mean())}
    show = view.SeriesShow(
        learner.model, values[:max(steps, 1)], "New York taxi: passengers, 2½ hours ahead", ahead=AHEAD, learn=learn, lines=trivial, limits=(0, 32_000),
        steps=WEEK, time="half-hours", value="passengers in half an hour", error="|error|, and the mean of trivial forecasts",
        error_limits=(10, 30_000))
    show.comparison = learner.comparison
    return show


def report(show):
    """MAPE: the sum of |errors| over the sum of values, beside the same of the trivial forecasts, from row 5,000 on."""
    part = show.comparison.late if show.done > LATER else show.comparison.whole
    mape = {name: error.percent for name, error in part.items()}
    return {"mape_percent": mape, "from_row": LATER if show.done > LATER else 0,
            "shown": {f"MAPE, {AHEAD} half-hours ahead": ", ".join(f"{n} {'-' if p is None else f'{p:.1f} %'}" for n, p in mape.items())}}


if __name__ == "__main__":
    script("taxi", globals())
