"""How well it finds anomalies: three of the 58 files of the Numenta Anomaly Benchmark, learned online, beside trivial
detectors.

Read the figures with care. The threshold is chosen with the labels, as in the benchmark, and with 11 anomalies this
alone gives random scores about 25 of 100 points. Only at the threshold ALARM is nothing chosen; the numbers of Novelty
were tuned on one half of the whole benchmark, so take these files as seen. What the prediction error adds was chosen on
series made for it (see `made_anomalies`), but these files were looked at too, with the seeds 0 to 3. The figures of the
whole benchmark differ: there a random detector has 11.0, the windowed Gaussian 39.6, Numenta's own detector 70.1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deephtm_gpu.data.anomaly_baselines import min_max, windowed_gaussian
from deephtm_gpu.data.nab import Labels, held_out, labels, nab_score, read_windows
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.errors import UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.novelty import ALARM, Novelty, Quiet
from deephtm_gpu.sources import open_source

FILES = ("nyc_taxi", "ambient_temperature_system_failure", "machine_temperature_system_failure")
WINDOWS = "anomaly_windows.json"
AHEAD = 5  # rows: a prediction of the next row follows a drift, and its error does not show the drift
LEARNING = 288  # errors that are left out at the start, as in AnomalyLikelihood: later ones look small beside them
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

    plain: as it is. quieted: with a quiet time after each alarm. at_alarm: with that, and the threshold ALARM; empty if
    the detector's scores have another scale. held_out: with the quiet time, and a threshold from the other files.
    by_file: (files,), with the quiet time, mean over the seeds.
    """

    name: str
    plain: list[float]
    quieted: list[float]
    at_alarm: list[float]
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
    yield _figures("Novelty", [[novelty(s.values) for s in series]], series, scaled=True)


def learned(series, seeds, device):
    """Yields the Figures of the learner's scores, and of Novelty with the learner's prediction error."""
    runs = [[_learn(s, seed, device) for s in series] for seed in seeds]  # [seed][file]: three arrays (T,)
    for number, name in enumerate(("anomaly score", "anomaly likelihood, or its logarithm")):
        yield _figures(name, [[run[number] for run in of_seed] for of_seed in runs], series)
    yield from _with_errors("network", [[error for _, _, error in of_seed] for of_seed in runs], series)


def controls(series, seeds):
    """Yields the Figures of the same with another error than the network's."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    yield from _with_errors("random", [[rng.random(s.where.rows) for s in series] for rng in rngs], series)
    yield from _with_errors("persistence", [[lag_error(s.values, AHEAD) for s in series]], series)


def novelty(numbers, learning=0):
    """The scores of Novelty without its quiet time, (T,). numbers: (T,), NaN where there is none; the first `learning`
    numbers are left out. A row that is left out has the score 0."""
    scores, detector = np.zeros(len(numbers)), Novelty(quiet=0, quiet_share=0)
    given = np.flatnonzero(~np.isnan(numbers))[learning:]
    scores[given] = detector.batch(numbers[given])
    return scores


def with_error(values, error):
    """What the prediction error (T,), NaN without a prediction, adds to Novelty of the values (T,). Returns the scores
    (T,) of the error alone, the larger of both, and their sum, by these names, without a quiet time."""
    of_values, of_error = novelty(values), novelty(error, LEARNING)
    return {"error alone": of_error, "the larger of both": np.maximum(of_values, of_error),
            "sum of both": of_values + of_error}


def quieted(scores):
    """The scores (T,) after Novelty's quiet time."""
    quiet = Quiet()
    return np.array([quiet.update(x) for x in scores])


def lag_error(values, lag):
    """|value - the value `lag` rows before|, (T,); NaN in the first rows."""
    return np.concatenate([np.full(lag, np.nan), np.abs(values[lag:] - values[:-lag])])


def errors(outputs):
    """|value - the network's prediction| of each Output, (T,); NaN without a prediction."""
    return np.array([np.nan if o.network is None else abs(o.row.value - o.network) for o in outputs])


def _learn(series, seed, device):
    """Anomaly score, anomaly likelihood and prediction error of each row, (T,) each."""
    learner = Learner(AHEAD, timed=True, seed=seed, device=device, values_alone=True)
    outputs = []
    with open_source(series.path, "value", "timestamp") as stream:
        for rows in stream.chunks():
            outputs += learner.learn(rows)
    anomaly, likelihood = ([getattr(o, name) for o in outputs] for name in ("anomaly", "likelihood"))
    return np.array(anomaly, np.float64), np.array(likelihood, np.float64), errors(outputs)


def _with_errors(whose, of_seeds, series):
    """of_seeds: for each seed the error of each file, (T,)."""
    scores = [[with_error(s.values, error) for s, error in zip(series, of_seed)] for of_seed in of_seeds]
    for name in scores[0][0]:
        yield _figures(f"Novelty, {whose}: {name}", [[file[name] for file in of_seed] for of_seed in scores], series,
                       scaled=True)


def _deviation(values):
    return np.abs(OnlineScaler().standardise(values)[0].astype(np.float64))


def _figures(name, of_seeds, series, scaled=False):
    """of_seeds: for each seed the scores of each file, (T,). scaled: whether ALARM is a threshold for them."""
    where = [s.where for s in series]
    plain = [nab_score(scores, where).total for scores in of_seeds]
    of_seeds = [[quieted(file) for file in scores] for scores in of_seeds]
    best = [nab_score(scores, where) for scores in of_seeds]
    at_alarm = [nab_score(scores, where, ALARM).total for scores in of_seeds] if scaled else []
    totals = [held_out(scores, where) for scores in of_seeds]
    return Figures(name, plain, [b.total for b in best], at_alarm, totals,
                   np.mean([b.by_file for b in best], axis=0).tolist())
