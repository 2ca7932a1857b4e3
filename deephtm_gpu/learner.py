"""A model of one series of numbers that comes row by row, and all that stands around it."""

from collections import deque

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.data.baselines import Comparison
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.data.time_features import FEATURES, time_features
from deephtm_gpu.errors import UserError
from deephtm_gpu.saving.loading import load_beside
from deephtm_gpu.saving.writing import save_model

LATER = 5000  # rows after which learning counts as settled, for the second error of the summary
CORRECTED = 0.2  # at most this part of an error is corrected by its step: the rest may be noise
SLOW = 0.1  # the learning rate of encoder and pooler beside that of the rest: a moving code cannot be read


class Learner:
    """A model of one series, and all that stands around it: scale, anomaly likelihood, comparison.

    ahead: rows. timed: whether the rows have timestamps. Everything is strictly online: a row's prediction was made
    `ahead` rows earlier, from what had arrived by then. optimizer: None for one that keeps steady however far ahead.
    """

    def __init__(self, ahead, timed, optimizer=None, seed=0, device="auto"):
        optimizer = optimizer or _optimizer(ahead)
        self._begin(dh.Model(_network(timed), loss="mse", optimizer=optimizer, seed=seed, device=device), ahead, timed)

    @classmethod
    def without_model(cls, ahead, timed):
        """All that stands around a model that is one of a population: see `Crowd`."""
        learner = cls.__new__(cls)
        learner._begin(None, ahead, timed)
        return learner

    def _begin(self, model, ahead, timed):
        self.model, self.ahead, self.timed = model, ahead, timed
        self.comparison = Comparison(ahead, timed, LATER)
        self._scaler, self._likelihood = OnlineScaler(), AnomalyLikelihood()
        self.rows_before = 0  # learned before it was saved
        self._waiting = deque()  # predictions whose rows have not come, the oldest first

    def learn(self, rows):
        """rows: a list of `csv_stream.Row`. Returns one tuple of texts per row: timestamp, value, prediction, anomaly
        score, anomaly likelihood."""
        inputs, scale = self._inputs(rows)
        self.history = history = self.model.fit(inputs, ahead=self.ahead)  # kept for those who look on
        return self._tell(rows, scale, history.prediction, history.anomaly)

    def _inputs(self, rows):
        """What the model sees of the rows, one array (T, D) per input, and the scale to read its predictions by."""
        z, mean, deviation = self._scaler.standardise([r.value for r in rows])  # (T,) each
        inputs = [z[:, None]]
        if self.timed:
            inputs.append(time_features([r.when for r in rows]))
        return inputs, (mean, deviation)

    def _tell(self, rows, scale, prediction, anomaly):
        """prediction (T, 1), anomaly (T,): of the model at these rows."""
        mean, deviation = scale
        made = mean + deviation * prediction[:, 0]  # (T,), each for the row `ahead` later
        self.made = made  # for those who look on
        likelihood = self._likelihood.batch(anomaly)
        return [self._told(*row) for row in zip(rows, made, anomaly, likelihood)]

    def save(self, path):
        """Writes everything needed to go on to the bit, for `Learner.load`. Raises UserError where it cannot be written."""
        save_model(self.model, path, {
            "ahead": self.ahead, "timed": self.timed, "waiting": np.array(self._waiting, np.float64),
            "scaler": self._scaler.state(), "likelihood": self._likelihood.state(), "comparison": self.comparison.state(),
        })

    @classmethod
    def load(cls, path, device="auto"):
        """The Learner that `save` wrote. Raises UserError, as `dh.load` does, and where the file holds a model alone."""
        model, state = load_beside(path, device)
        if state is None:
            raise UserError(f"{path} holds a model without what `deephtm run` keeps around it; name a file that `deephtm run --save` wrote.")
        learner = cls.__new__(cls)
        try:
            learner._begin(model, int(state["ahead"]), bool(state["timed"]))
            learner._waiting.extend(state["waiting"].tolist())
            learner._scaler.restore(state["scaler"])
            learner._likelihood.restore(state["likelihood"])
            learner.comparison.restore(state["comparison"])
            learner.rows_before = learner.comparison.rows
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path} does not hold what `deephtm run` keeps around a model ({error}); name a file that `deephtm run --save` wrote.") from None
        return learner

    def _told(self, row, made, anomaly, likelihood):
        due = self._waiting.popleft() if len(self._waiting) == self.ahead else None
        self._waiting.append(float(made))
        self.comparison.update(row.value, row.when, due)
        shown = "" if due is None else f"{due:.15g}"
        return row.stamp, row.text, shown, f"{anomaly:.6f}", f"{likelihood:.10f}"


class Crowd:
    """Learners of many series at once, their models in one population: each tells what a Learner of that seed alone would.

    Series may end at different times: who has ended is taken out, and goes on alone.
    """

    def __init__(self, count, ahead, timed, seed=0, device="auto"):
        self.learners = [Learner.without_model(ahead, timed) for _ in range(count)]
        self._numbers = list(range(count))  # which learner each of the population's models is for
        self._ahead = ahead
        self._population = dh.Population(_network(timed), count, loss="mse", optimizer=_optimizer(ahead), seed=[seed] * count, device=device)

    @property
    def device(self):
        return self._population.device

    def learn(self, rows: dict):
        """rows: learner's number -> equally many rows. Who is not there has ended. Returns the same with what each tells."""
        self._close_up(rows)
        seen = {n: self.learners[n]._inputs(rows[n]) for n in rows}
        some = next(iter(seen.values()))[0]
        # Who has ended, and is not worth closing up for, runs on with zeros, and nobody looks.
        inputs = [np.stack([seen[n][0][j] if n in seen else np.zeros_like(some[j]) for n in self._numbers]) for j in range(len(some))]
        history = self._population.fit(inputs, ahead=self._ahead)
        places = {n: p for p, n in enumerate(self._numbers)}
        return {n: self.learners[n]._tell(rows[n], seen[n][1], history.prediction[places[n]], history.anomaly[places[n]]) for n in rows}

    def take_out(self, number) -> "Learner":
        """The learner, with a model of its own that stands where it stood here. It must not be given rows here any more."""
        learner = self.learners[number]
        learner.model = self._population.model(self._numbers.index(number))
        return learner

    def name_of(self, model) -> int:
        """The learner's number of one of the population's models."""
        return self._numbers[model]

    def _close_up(self, going):
        """Where half have ended, the others move together."""
        if 2 * len(going) <= len(self._numbers):
            kept = [p for p, n in enumerate(self._numbers) if n in going]
            self._population = self._population.some(kept)
            self._numbers = [self._numbers[p] for p in kept]


def _optimizer(ahead):
    # An error is corrected `ahead` rows late: a loop with a delay, which bursts when each round corrects more than
    # pi/2 / ahead of it. The Polyak step knows what part it corrects; with a fixed rate a step in the series burst it.
    # PolyakSGD divides by `ahead` itself.
    return dh.PolyakSGD(scale=min(CORRECTED * ahead, 1.0))


def _network(timed):
    """MODEL's network for noisy regression: the value, and the clock beside it, to the value."""
    inputs = [dh.Input((1,))] + ([dh.Input((FEATURES,))] if timed else [])
    x = dh.Concat()(inputs) if timed else inputs[0]
    h = dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(x))
    h = dh.RunningNorm()(dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(h)))
    columns = dh.SpatialPooler(columns=256, winners=20, lr_scale=SLOW)(h)
    cells = dh.TemporalMemory(cells_per_column=5)(columns)
    return dh.Network(inputs=inputs, outputs=dh.Linear(1)(dh.ReLU()(dh.Linear(256)(cells))))
