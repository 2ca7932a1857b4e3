"""How well series are forecast: the mean absolute error of the network, of the trivial forecasts and of the mixture."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deephtm_gpu.data.baselines import Persistence, SameSlotLastWeek
from deephtm_gpu.errors import UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.sources import CHUNK, Row, open_source

STEPS = 5000  # of the made series
LATE = 1000  # rows: errors count from here on, when the mixture has learned
AHEADS = (1, 5, 24)


class Forecasts(NamedTuple):
    """The errors on one series.

    Attributes
    ----------
    name : str
    ahead, seed, rows : int
    errors : dict
        Mean absolute error by the forecast's name, on the rows from LATE on for which all have a forecast.
    """

    name: str
    ahead: int
    seed: int
    rows: int
    errors: dict[str, float]

    @property
    def best(self) -> str:
        """The name of the best trivial forecast."""
        return min((name for name in self.errors if name not in ("mixture", "network")), key=self.errors.get)

    @property
    def ratio(self) -> float:
        """The mixture's error over that of the best trivial forecast; 1 if both are 0."""
        mixture, trivial = self.errors["mixture"], self.errors[self.best]
        return mixture / trivial if trivial else float("inf") if mixture else 1.0


def made_series(seed: int) -> dict[str, np.ndarray]:
    """Series (STEPS,) by name."""
    t, noise = np.arange(STEPS), np.random.default_rng(seed).normal(size=STEPS)
    return {
        "counter": t * 1.0,
        "trend with a sine": 0.05 * t + 10 * np.sin(t / 8),
        "step": np.where(t < STEPS // 2, 0.0, 10.0),
        "step with noise": np.where(t < STEPS // 2, 0.0, 10.0) + noise,
        "random walk": np.cumsum(noise),
        "constant": np.full(STEPS, 3.3),
    }


def as_rows(values, times=None) -> list[Row]:
    """values (T,), times: T datetimes, or None."""
    times = times or [None] * len(values)
    return [Row(float(value), repr(float(value)), when, "") for value, when in zip(values, times)]


def read(folder: str) -> dict[str, list[Row]]:
    """The rows of every CSV file of a folder with the columns timestamp and value, by its name."""
    paths = sorted(Path(folder).glob("*.csv"))
    if not paths:
        raise UserError(f"--data must be a folder with CSV files, got {folder}; run it in a checkout.")
    found = {}
    for path in paths:
        with open_source(str(path), "value", "timestamp") as stream:
            found[path.stem] = [row for rows in stream.chunks() for row in rows]
    return found


def measure(name: str, rows: list[Row], ahead: int, seed: int, device: str) -> Forecasts:
    """Learns the rows strictly online."""
    timed = rows[0].when is not None
    learner = Learner(ahead, timed, seed=seed, device=device)
    outputs = [output for begin in range(0, len(rows), CHUNK) for output in learner.learn(rows[begin : begin + CHUNK])]
    trivial = {"persistence": Persistence(ahead)} | ({"same slot last week": SameSlotLastWeek(ahead)} if timed else {})
    forecasts = {"network": [o.network for o in outputs], "mixture": [o.prediction for o in outputs]}
    forecasts |= {each: [t.update(row.value, row.when) for row in rows] for each, t in trivial.items()}
    return Forecasts(name, ahead, seed, len(rows), errors_of([row.value for row in rows], forecasts))


def errors_of(values, forecasts: dict[str, list[float | None]]) -> dict[str, float]:
    """Mean absolute errors as in Forecasts. A forecast that exists for no row is left out."""
    made = {name: np.array(each, np.float64)[LATE:] for name, each in forecasts.items()}  # (T,), NaN: none
    made = {name: each for name, each in made.items() if not np.isnan(each).all()}
    common = ~np.isnan(list(made.values())).any(axis=0)
    return {name: float(np.abs(np.array(values)[LATE:] - each)[common].mean()) for name, each in made.items()}


def run(folder: str, seeds, device: str) -> Iterator[Forecasts]:
    """Yields the errors on the series of a folder and on the made ones, for each of AHEADS and of the seeds."""
    series = read(folder)
    for name in [*series, *made_series(0)]:
        for ahead in AHEADS:
            for seed in seeds:
                rows = series[name] if name in series else as_rows(made_series(seed)[name])
                yield measure(name, rows, ahead, seed, device)
