"""What the network's prediction error adds to Novelty, on series that are made: anomalies in context, rhythm and order,
and a drift.

Novelty of the values sees a value that never was. A usual value at the wrong time needs a prediction. All detectors
have the threshold ALARM, so nothing is tuned on the seeds that are measured; what is combined, and LEARNING, were
chosen on the seeds 0 to 5. The trivial predictors show what a network is worth: the value 5 rows ago, and the value a
day ago, which knows the period.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from deephtm_gpu.bench.anomalies import AHEAD, errors, lag_error, novelty, quieted, with_error
from deephtm_gpu.data.nab import Labels, nab_score
from deephtm_gpu.learner import Learner
from deephtm_gpu.novelty import ALARM
from deephtm_gpu.sources import Row

KINDS = ("context", "rhythm", "drift", "order")
ROWS, DAY, NOISE = 3000, 24, 0.1  # rows of an hour each; standard deviation
WINDOW = 72  # rows from the start of an anomaly on in which a detection counts
FIRST, SECOND = (1200, 1680), (2160, 2640)  # where the two anomalies of a series start
START = datetime(2024, 1, 1)
CHUNK = 500  # rows


@dataclass(frozen=True)
class Found:
    """A detector on all series of a kind. score: on the scale of the anomaly benchmark. false_alarms: rows."""

    detector: str
    kind: str
    score: float
    found: int
    anomalies: int
    false_alarms: int
    rows: int


def make(kind, seed):
    """A daily series with two anomalies.

    context: for 12 hours the values of 12 hours later. rhythm: two days pass 1.5 times as fast. drift: the level rises
    for 60 hours to .8, and falls back. order: a day has first its high half or its low half, as a coin falls; once it
    has the same half twice.

    Parameters
    ----------
    kind : str
        One of KINDS.
    seed : int
        Of the noise, the starts of the anomalies and the coin.

    Returns
    -------
    values : ndarray (ROWS,) float64
        The series.
    where : Labels
        The windows of the anomalies.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    hours = np.arange(ROWS)
    starts = [int(rng.integers(*span)) for span in (FIRST, SECOND)]
    noise = rng.normal(0, NOISE, ROWS)
    if kind == "order":
        starts = [start // DAY * DAY + DAY // 2 for start in starts]
        values = _halves(hours, starts, rng)
    else:
        phase, level = hours / DAY, np.zeros(ROWS)
        for start in starts:
            if kind == "context":
                phase[start:start + 12] += 0.5
            elif kind == "rhythm":
                phase[start:start + 48] += 0.5 * np.arange(48) / DAY
            else:
                level[start:start + 60] = np.linspace(0, 0.8, 60)
        values = level - np.cos(2 * np.pi * phase) - 0.4 * np.cos(4 * np.pi * phase + 0.6)
    return values + noise, Labels(ROWS, [(start, start + WINDOW - 1) for start in starts])


def study(seeds, device):
    """Yields a Found for each detector and kind. Learns on `device`."""
    made = {(kind, seed): make(kind, seed) for kind in KINDS for seed in seeds}
    scores = {case: _detectors(values, case[1], device) for case, (values, _) in made.items()}
    for detector in next(iter(scores.values())):
        for kind in KINDS:
            where = [made[kind, seed][1] for seed in seeds]
            result = nab_score([scores[kind, seed][detector] for seed in seeds], where, ALARM)
            rows = sum(at.rows - at.probation for at in where)
            yield Found(detector, kind, result.total, result.found, result.windows, result.false_alarms, rows)


def _halves(hours, starts, rng):
    """Days of a high and a low half; at each of `starts`, half past a day, the first half once more."""
    sign = np.repeat(rng.choice([-1.0, 1.0], ROWS // DAY), DAY)
    sign[hours % DAY >= DAY // 2] *= -1
    for start in starts:
        sign[start:start + DAY // 2] *= -1
    return sign * (0.4 + 0.6 * np.abs(np.sin(2 * np.pi * hours / DAY)))


def _detectors(values, seed, device):
    """Name -> scores (T,)."""
    found = {"Novelty": novelty(values)}
    for whose, error in (("network", _network_error(values, seed, device)),
                         (f"{AHEAD} rows ago", lag_error(values, AHEAD)), ("a day ago", lag_error(values, DAY))):
        found |= {f"Novelty, {whose}: {name}": scores for name, scores in with_error(values, error).items()}
    return {name: quieted(scores) for name, scores in found.items()}


def _network_error(values, seed, device):
    learner = Learner(AHEAD, timed=True, seed=seed, device=device, values_alone=True)
    rows = [Row(float(x), "", START + timedelta(hours=t), "") for t, x in enumerate(values)]
    return errors([o for at in range(0, ROWS, CHUNK) for o in learner.learn(rows[at:at + CHUNK])])
