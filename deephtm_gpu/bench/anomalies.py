"""How well it finds anomalies: three files of the Numenta Anomaly Benchmark, learned online, beside trivial detectors.

Read the figures with care. The threshold is chosen with the labels, as in the benchmark, and with 11 anomalies this
alone gives random scores about 25 of 100 points. The parts of the alarm, AHEAD and REST were chosen among about a
hundred variants on these same files, with seeds 0 to 15: other seeds score no lower, but there was no other file for a
check. (8, 12 and 24 rows ahead do as well as 5; 1 and 3 ahead give 70.) The figures of the whole benchmark, 58 files,
differ: there a random detector has 11.0, the windowed Gaussian 39.6, Numenta's own detector 70.1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deephtm_gpu.alarm import Alarm, Rarity, Rest
from deephtm_gpu.data.anomaly_baselines import min_max, windowed_gaussian
from deephtm_gpu.data.nab import Labels, held_out, labels, nab_score, read_windows
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.errors import UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.sources import open_source

FILES = ("nyc_taxi", "ambient_temperature_system_failure", "machine_temperature_system_failure")
WINDOWS = "anomaly_windows.json"
AHEAD = 5  # rows: a prediction of the next row follows a drift, and its error does not show the drift
RANDOM = 20  # random detectors: the score of a single one is noise


@dataclass(frozen=True)
class Series:
    """values: (T,) float64. where: the labels of the anomalies, only for scoring."""

    path: Path
    values: np.ndarray
    where: Labels


@dataclass(frozen=True)
class Figures:
    """The scores of a detector over all files, one for each seed.

    plain: as it is. rested: with a rest after each alarm. held_out: with the rest, and a threshold from the other
    files. by_file: (files,), with the rest, mean over the seeds.
    """

    name: str
    plain: list[float]
    rested: list[float]
    held_out: list[float]
    by_file: list[float]


def read(folder):
    """The three files and their labels. Raises UserError."""
    folder = Path(folder)
    windows = read_windows(folder / WINDOWS)
    series = []
    for name in FILES:
        path = folder / f"{name}.csv"
        with open_source(path, "value", "timestamp") as stream:
            rows = [row for chunk in stream.chunks() for row in chunk]
        if path.name not in windows:
            raise UserError(f"{folder / WINDOWS} must have the windows of {path.name}, got none; add them.")
        where = labels([row.when for row in rows], windows[path.name])
        series.append(Series(path, np.array([row.value for row in rows]), where))
    return series


def trivial(series):
    """Yields the Figures of detectors that do not use the sequence."""
    yield _figures("none: never an alarm", [[np.zeros(s.where.rows) for s in series]], series)
    rngs = [np.random.default_rng(seed) for seed in range(RANDOM)]
    yield _figures("random", [[rng.random(s.where.rows) for s in series] for rng in rngs], series)
    yield _figures("windowed Gaussian", [[windowed_gaussian(s.values) for s in series]], series)
    yield _figures("min/max threshold", [[min_max(s.values) for s in series]], series)
    yield _figures("deviation from the mean so far", [[_deviation(s.values) for s in series]], series)
    yield _figures("the same, its rarity", [[_rarity(_deviation(s.values)) for s in series]], series)


def learned(series, seeds, device):
    """Yields the Figures of the learner's scores."""
    runs = [[_learn(s, seed, device) for s in series] for seed in seeds]  # [seed][file]: three arrays (T,)

    def figures(name, detector):
        return _figures(name, [[detector(s, *run) for s, run in zip(series, of_seed)] for of_seed in runs], series)

    yield figures("anomaly score", lambda s, anomaly, likelihood, error: anomaly)
    yield figures("anomaly likelihood, or its logarithm", lambda s, anomaly, likelihood, error: likelihood)
    yield figures("prediction error, its rarity", lambda s, anomaly, likelihood, error: _rarity(error))
    yield figures("alarm", lambda s, anomaly, likelihood, error: _alarm(s, anomaly, error))


def controls(series, seeds):
    """Yields the Figures of the alarm with other inputs than the network's."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    yield _figures("control: alarm, but random for the network",
                   [[_alarm(s, *rng.random((2, s.where.rows))) for s in series] for rng in rngs], series)
    yield _figures(
        "control: alarm, but persistence",
        [[_alarm(s, _persistence_error(s.values, 1), _persistence_error(s.values, AHEAD)) for s in series]],
        series,
    )


def _learn(series, seed, device):
    """Anomaly score, anomaly likelihood and prediction error of each row, (T,) each; the error is 0 without a
    prediction."""
    learner = Learner(AHEAD, timed=True, seed=seed, device=device, values_alone=True)
    outputs = []
    with open_source(series.path, "value", "timestamp") as stream:
        for rows in stream.chunks():
            outputs += learner.learn(rows)
    _, _, anomaly, likelihood, predicted = zip(*outputs)  # the network's own prediction
    error = [0.0 if p is None else abs(value - p) for value, p in zip(series.values, predicted)]
    return np.array(anomaly, np.float64), np.array(likelihood, np.float64), np.array(error)


def _alarm(series, anomaly, error):
    alarm = Alarm(rest=0)  # _figures applies the rest to every detector
    return np.array([alarm.update(*row) for row in zip(anomaly, error, _deviation(series.values))])


def _persistence_error(values, ahead):
    return np.concatenate([np.zeros(ahead), np.abs(values[ahead:] - values[:-ahead])])


def _deviation(values):
    return np.abs(OnlineScaler().standardise(values)[0].astype(np.float64))


def _rarity(scores):
    rarity = Rarity()
    return np.array([rarity.update(x) for x in scores])


def _figures(name, of_seeds, series):
    """of_seeds: for each seed the scores of each file, (T,)."""
    where = [s.where for s in series]
    plain = [nab_score(scores, where).total for scores in of_seeds]
    of_seeds = [[_rested(file) for file in scores] for scores in of_seeds]
    rested = [nab_score(scores, where) for scores in of_seeds]
    totals = [held_out(scores, where) for scores in of_seeds]
    return Figures(
        name, plain, [r.total for r in rested], totals, np.mean([r.by_file for r in rested], axis=0).tolist()
    )


def _rested(scores):
    rest = Rest()
    return np.array([rest.update(x) for x in scores])
