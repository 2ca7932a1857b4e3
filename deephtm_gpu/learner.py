"""An online learner of one series of numbers, row by row: model, scale, mixture of forecasts, anomaly likelihood,
comparison with trivial forecasts."""

from collections import deque
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.arguments import check_count, check_flag
from deephtm_gpu.data.baselines import Comparison
from deephtm_gpu.data.changes import Changes, Levels
from deephtm_gpu.data.time_features import FEATURES, time_features
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.fitting import CHUNK
from deephtm_gpu.forecast import Mixture
from deephtm_gpu.novelty import Novelty
from deephtm_gpu.saving.loading import load_beside
from deephtm_gpu.saving.tree import array_in, count_in
from deephtm_gpu.saving.writing import save_model
from deephtm_gpu.sources import Row

SETTLED_AFTER = 5000  # rows: the summary's second error counts from here on
MAX_CORRECTION = 0.2  # the largest part of an error that its step corrects: the rest may be noise
SLOW = 0.1  # the learning rate of encoder and pooler relative to the other layers: a code that moves cannot be read


class Output(NamedTuple):
    """What a learner says of a row.

    Attributes
    ----------
    row : Row
    prediction : float or None
        What was predicted for it, `ahead` rows earlier: the mixture of the network's forecast and of those without a
        network. None in the first `ahead` rows.
    anomaly : float or None
        Anomaly score, 0 to 1; None for a gap, where nothing arrived to be judged.
    likelihood : float or None
        Anomaly likelihood, 0 to 1; None for a gap.
    network : float or None
        What the network alone predicted for it.
    novelty : float or None
        The score of `dh.Novelty`, 0 to 1; None for a gap.
    forecast : float or None
        What is predicted now, for the row `ahead` later; None before the first value.
    """

    row: Row
    prediction: float | None
    anomaly: float | None
    likelihood: float | None
    network: float | None
    novelty: float | None
    forecast: float | None


class Learner:
    """A model of one series, with its scaler, the mixture of its forecast with others, its anomaly likelihood and its
    comparison with trivial forecasts.

    Everything is strictly online: the prediction of a row was made `ahead` rows earlier, from the rows up to then.

    A row without a value is a gap: the temporal state goes on and nothing is learned from it, neither a weight nor the
    scale nor the anomaly likelihood. What stands in for the value is the model's own prediction of that row; where
    there is none, the last value; before the first value the row is passed over. A gap without a timestamp has that of
    the last row. A row with `reset` begins a new sequence: nothing before it is remembered.

    Parameters
    ----------
    ahead : int
        How many rows ahead to predict, 1 or more.
    timed : bool
        Whether the rows have timestamps. The model then sees time of day and weekday too.
    optimizer : optimiser, optional
        None for one that is stable for every `ahead`.
    seed : int, default 0
        Seed of the initial weights.
    device : str, default "auto"
        As in `dh.Model`.
    values_alone : bool, default False
        Whether the network sees and predicts the values, rather than the changes with the values beside them. It then
        forecasts worse, and its anomaly score finds anomalies better.

    Attributes
    ----------
    model : dh.Model
        The model; None for a Learner of a PopulationLearner.
    novelty : dh.Novelty
        Of the values.
    mixture : Mixture
        Mixes the network's forecast with those of `deephtm_gpu.forecast`.
    comparison : Comparison
        The errors of the mixture, of the network and of the trivial forecasts.
    history : dh.History
        Of the last call of `learn`, from the last gap or reset on.
    forecast : ndarray (T,) float64
        Likewise: the network's prediction made at each row, for the row `ahead` later.
    gaps : int
        Gaps so far.
    last : tuple of (float or None, datetime or None)
        The last value that arrived, and its time.
    learning : bool
        False: the network and its scale stay as they are, and the temporal state goes on.
    run : dict or None
        What was given to `save`, of a learner that was loaded.
    rows_before : int
        Rows that were learned before `save`.

    Raises
    ------
    UserError, DeviceError
        As in `dh.Model`.

    Examples
    --------
    >>> import math
    >>> from deephtm_gpu.learner import Learner
    >>> from deephtm_gpu.sources import Row
    >>> learner = Learner(ahead=1, timed=False, device="numpy")
    >>> rows = [Row(math.sin(t / 5), f"{math.sin(t / 5):.4f}", None, "") for t in range(100)]
    >>> outputs = learner.learn(rows)
    >>> len(outputs), outputs[0].prediction, outputs[1].prediction is None
    (100, None, False)
    """

    def __init__(self, ahead: int, timed: bool, optimizer=None, seed: int = 0, device: str = "auto",
                 values_alone: bool = False):
        network = _network(timed, check_flag("values_alone", values_alone))
        optimizer = optimizer or steady_optimizer(ahead)
        self._set_up(dh.Model(network, loss="mse", optimizer=optimizer, seed=seed, device=device), ahead, timed)
        if values_alone:
            self._scaler = Levels()

    @classmethod
    def without_model(cls, ahead: int, timed: bool) -> "Learner":
        """A Learner whose model is one of a population: see `PopulationLearner`."""
        learner = cls.__new__(cls)
        learner._set_up(None, ahead, timed)
        return learner

    def _set_up(self, model, ahead, timed):
        self.model, self.ahead, self.timed = model, ahead, timed
        self.comparison = Comparison(ahead, timed, SETTLED_AFTER)
        self._scaler, self._likelihood = Changes(ahead), AnomalyLikelihood()
        self.mixture, self.novelty = Mixture(ahead, timed), Novelty()
        self.rows_before = self.gaps = 0
        self.last: tuple[float | None, datetime | None] = (None, None)
        self.run: dict | None = None
        self.learning = True
        self._pending = deque()  # (prediction, network's) whose rows have not arrived, the oldest first

    def learn(self, rows: list[Row]) -> list[Output]:
        """Learn a chunk of rows.

        Parameters
        ----------
        rows : list of Row
            The rows that have arrived, at least one.

        Returns
        -------
        list of Output
            One for each row.

        Raises
        ------
        TrainingError
            If the training diverged.
        """
        outputs = []
        for part in parts(rows):
            if part[0].reset:
                self.reset()
            outputs += self._learn(part) if part[0].value is not None else [self._pass(row) for row in part]
        return outputs

    def reset(self) -> None:
        """Begin a new sequence."""
        self.model.reset()
        self.comparison.reset()
        self.mixture.reset()
        self._scaler.reset()
        self._pending.clear()

    def _learn(self, rows):
        inputs, scale = self._inputs(rows)
        self.history = history = self.model.fit(inputs, ahead=self.ahead, learn=self.learning)
        return self._outputs(rows, scale, history.prediction, history.anomaly)

    def _pass(self, row):
        """The output of a gap."""
        self.gaps += 1
        value, when = self.last
        if value is None:  # there is nothing to go on from
            return Output(row, None, None, None, None, None, None)
        due, network = self._due()
        inputs, base, unit = self._scaler.pass_over(value if due is None else due)
        if self.timed:
            inputs.append(time_features([row.when or when]))  # (1, 11)
        self.history = history = self.model.fit(inputs, ahead=self.ahead, learn=False)
        self.forecast = base + unit * history.prediction[:, 0].astype(np.float64)  # (1,)
        now = self._forecast(None, row.when or when, float(self.forecast[0]))
        self.comparison.skip(value)
        return Output(row, due, None, None, network, None, now)

    def _inputs(self, rows):
        """The model's inputs, one array (T, D) each, and the scale that turns its predictions into values."""
        if self.learning:
            inputs, base, unit = self._scaler.standardise([r.value for r in rows])
        else:
            each = [self._scaler.pass_over(r.value) for r in rows]
            inputs = [np.concatenate(x) for x in zip(*(x for x, _, _ in each))]
            base, unit = (np.array(x, np.float64) for x in zip(*(scale for _, *scale in each)))
        if self.timed:
            inputs.append(time_features([r.when for r in rows]))
        return inputs, (base, unit)

    def _outputs(self, rows, scale, prediction, anomaly):
        """The output of each row. prediction (T, 1), anomaly (T,): the model's, at these rows."""
        base, unit = scale
        self.forecast = base + unit * prediction[:, 0]  # (T,), each for the row `ahead` later
        likelihood = self._likelihood.batch(anomaly)
        self.last = rows[-1].value, rows[-1].when
        return [self._output(*each) for each in zip(rows, self.forecast, anomaly, likelihood)]

    def _output(self, row, forecast, anomaly, likelihood):
        due, network = self._due()
        now = self._forecast(row.value, row.when, float(forecast))
        self.comparison.update(row.value, row.when, due, network)
        novelty = self.novelty.update(row.value)
        return Output(row, due, float(anomaly), float(likelihood), network, novelty, now)

    def _forecast(self, value, when, network):
        """Takes the row, None for a gap, into the mixture with what the network forecasts. -> what is predicted."""
        now = self.mixture.update(value, when, network)
        self._pending.append((now, network))
        return now

    @property
    def waiting(self) -> list[tuple[float | None, float | None]]:
        """What is predicted for the rows that come next, and by the network alone, the next first."""
        return list(self._pending)

    def summary(self) -> str:
        """Lines of text: the comparison, and the regret of the mixture against the best expert."""
        regret = {name: r for name, r in self.mixture.regret().items() if r.rows}
        if not regret:
            return self.comparison.table()
        best = min(regret, key=lambda name: regret[name].expert - regret[name].mixture)
        rows, mixture, expert = regret[best]
        return (f"{self.comparison.table()}\nmean |error| of the mixture {mixture:.4g}, of the best expert ({best}) "
                f"{expert:.4g}: regret {mixture - expert:.4g} ({rows:,} rows)")

    def _due(self):
        """What was predicted for the row that comes now, and by the network; None where there was nothing."""
        return self._pending.popleft() if len(self._pending) == self.ahead else (None, None)

    def save(self, path, run: dict | None = None) -> None:
        """Write everything needed to continue exactly, for `Learner.load`.

        Parameters
        ----------
        path : str or Path
            The file, in safetensors format.
        run : dict, optional
            Numbers and texts of whoever runs it, which `load` leaves in the attribute `run`.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        save_model(
            self.model,
            path,
            {
                "ahead": self.ahead,
                "timed": self.timed,
                "predictions": np.array(self._pending, np.float64).reshape(-1, 2),
                "inputs": self._scaler.state(),
                "mixture": self.mixture.state(),
                "likelihood": self._likelihood.state(),
                "novelty": self.novelty.state(),
                "comparison": self.comparison.state(),
                "gaps": self.gaps,
                "last": [self.last[0], self.last[1] and self.last[1].isoformat()],
                "run": run,
            },
        )

    @classmethod
    def load(cls, path, device: str = "auto") -> "Learner":
        """Read the file that `save` wrote.

        Parameters
        ----------
        path : str or Path
            The file.
        device : str, default "auto"
            As in `dh.Model`.

        Returns
        -------
        Learner
            It continues exactly where the saved one stopped.

        Raises
        ------
        UserError
            As `dh.load`, and if the file holds a model without a Learner's state.
        """
        model, state = load_beside(path, device)
        if state is None:
            raise UserError(f"{path} must be a file that `deephtm run --save` wrote, got a model alone; load it with "
                            "dh.load.")
        learner = cls.__new__(cls)
        try:
            state = {"gaps": 0, "last": [None, None], "run": None} | state  # older files have none of these
            ahead = check_count("ahead", state["ahead"])
            learner._set_up(model, ahead, check_flag("timed", state["timed"]))
            learner._restore(state)
        except Exception as error:  # a file can contain anything
            why = str(error).rstrip(".")
            raise UserError(f"{path} must be a file that `deephtm run --save` wrote, got one whose state is incomplete "
                            f"({why}); name another file.") from None
        return learner

    def _restore(self, state):
        if "mixture" in state:
            self._pending.extend(map(tuple, array_in(state, "predictions", (None, 2))[-self.ahead:].tolist()))
            if "past" not in state["inputs"]:  # values_alone
                self._scaler = Levels()
            self._scaler.restore(state["inputs"])
            self.mixture.restore(state["mixture"])
        else:  # a file from before there was a mixture: the network sees the values alone, and the mixture begins
            waiting = array_in(state, "waiting", (None,))[-self.ahead:].tolist()
            self._pending.extend((network, network) for network in waiting)
            self._scaler = Levels()
            self._scaler.restore(state["scaler"])
        self._likelihood.restore(state["likelihood"])
        if "novelty" in state:  # older files have none: it begins
            self.novelty.restore(state["novelty"])
        self.comparison.restore(state["comparison"])
        self.gaps, self.last = count_in(state, "gaps"), _last_of(state["last"])
        self.run, self.rows_before = state["run"], self.comparison.rows


class PopulationLearner:
    """Learners of many series at once, their models in one population.

    Each learner gives what a Learner alone with the same seed would give, to the bit. Series may end at different
    times: `take_out` a learner whose series has ended; it then has a model of its own.

    Parameters
    ----------
    count : int
        How many series.
    ahead, timed, seed, device
        As in `Learner`; the same for all.

    Attributes
    ----------
    diverged : dict
        Number of a learner whose training diverged -> the TrainingError, whose step counts from the first row of the
        call of `learn` in which it came.

    Examples
    --------
    >>> from deephtm_gpu.learner import PopulationLearner
    >>> from deephtm_gpu.sources import Row
    >>> learner = PopulationLearner(2, ahead=1, timed=False, device="numpy")
    >>> rows = [Row(float(t % 3), str(t % 3), None, "") for t in range(30)]
    >>> {n: len(outputs) for n, outputs in learner.learn({0: rows, 1: rows}).items()}
    {0: 30, 1: 30}
    """

    def __init__(self, count: int, ahead: int, timed: bool, seed: int = 0, device: str = "auto"):
        self.learners = [Learner.without_model(ahead, timed) for _ in range(count)]
        self.diverged: dict[int, TrainingError] = {}
        self._numbers = list(range(count))  # of each model of the population the number of its learner
        self._ahead = ahead
        self._population = dh.Population(
            _network(timed), count, loss="mse", optimizer=steady_optimizer(ahead), seed=[seed] * count, device=device
        )

    @property
    def device(self):
        """What it runs on: name, backend, "hardware" or "software"."""
        return self._population.device

    def learn(self, rows: dict[int, list[Row]]) -> dict[int, list[Output]]:
        """Learn a chunk of rows of each series.

        Parameters
        ----------
        rows : dict
            Number of the learner -> its rows, equally many for each, all of them plain (`is_plain`): models of a
            population step together, so one whose series has a gap is to be taken out. A series that is missing has
            ended.

        Returns
        -------
        dict
            Number of the learner -> what `Learner.learn` returns. One whose training diverged is left out, here and
            from now on; see `diverged`. The others learn as if it had not been there.
        """
        self._compact(rows)
        seen = {n: self.learners[n]._inputs(rows[n]) for n in rows}
        some = next(iter(seen.values()))[0]
        # The model of a series that has ended runs on zeros until `_compact` removes it. Its output is not used.
        inputs = [
            np.stack([seen[n][0][j] if n in seen else np.zeros_like(some[j]) for n in self._numbers])
            for j in range(len(some))
        ]
        prediction, anomaly = self._fit(inputs, rows)
        return {
            n: self.learners[n]._outputs(rows[n], seen[n][1], prediction[i], anomaly[i])
            for i, n in enumerate(self._numbers) if n in rows
        }

    def _fit(self, inputs, rows):
        """-> predictions (P, T, 1) and anomaly scores (P, T) of the models that are left. inputs (P, T, D) each."""
        found, begin = [], 0
        while self._numbers and begin < inputs[0].shape[1]:
            # At once only what is learned as a whole or not at all: the first `ahead` rows, from which nothing can be
            # learned yet, and CHUNK rows later on. So the others go on from where a model diverged.
            end = begin + (max(0, self._ahead - self._population.steps) or CHUNK)
            try:
                history = self._population.fit([x[:, begin:end] for x in inputs], ahead=self._ahead)
            except TrainingError as error:
                kept = self._without_diverged(error, begin, rows)
                inputs, found = [x[kept] for x in inputs], [tuple(x[kept] for x in each) for each in found]
                continue
            found.append((history.prediction, history.anomaly))
            begin = end
        return [np.concatenate(x, axis=1) for x in zip(*found)] if self._numbers else ([], [])

    def _without_diverged(self, error, begin, rows) -> list[int]:
        """Removes the models that diverged. -> the models that are left, by their numbers before."""
        for n in (self._numbers[i] for i in error.models):
            if n in rows:  # else its series has ended, and nobody asks
                self.diverged[n] = TrainingError(str(error), begin + error.step, error.layer)
        kept = [i for i in range(len(self._numbers)) if i not in error.models]
        self._keep(kept)
        return kept

    def take_out(self, number: int) -> Learner:
        """Give a learner a model of its own, in its present state.

        Parameters
        ----------
        number : int
            The learner's number. Give no more rows for it to `learn` of this object.

        Returns
        -------
        Learner
            The learner; its own `learn` continues.
        """
        learner = self.learners[number]
        learner.model = self._population.model(self._numbers.index(number))
        return learner

    def _compact(self, active):
        """Removes the ended series from the population when half of them have ended."""
        if 2 * len(active) <= len(self._numbers):
            self._keep([i for i, n in enumerate(self._numbers) if n in active])

    def _keep(self, models):
        if models:
            self._population = self._population.some(models)
        self._numbers = [self._numbers[i] for i in models]


def is_plain(rows: list[Row]) -> bool:
    """Whether the rows have neither gaps nor resets."""
    return not any(row.value is None or row.reset for row in rows)


def parts(rows: list[Row]) -> list[list[Row]]:
    """The rows cut into what a Learner takes at once: either gaps or values, with a reset only in front."""
    cuts, sequence = [], 0
    for row in rows:
        sequence += row.reset
        cuts.append((sequence, row.value is None))
    return [[row for _, row in part] for _, part in groupby(zip(cuts, rows), key=lambda pair: pair[0])]


def _last_of(saved):
    value, when = saved
    value = None if value is None else float(value)
    return value, None if when is None else datetime.fromisoformat(when).replace(tzinfo=None)


def steady_optimizer(ahead: int = 1) -> dh.PolyakSGD:
    """The optimiser of a Learner: stable for every `ahead`, on noisy series too."""
    # An error is corrected `ahead` rows late: a control loop with a delay. It is unstable if each step corrects more
    # than pi/2 / ahead of the error. The Polyak step knows which part it corrects; a fixed rate diverged at a step in
    # the series. PolyakSGD divides by `ahead` itself.
    return dh.PolyakSGD(scale=min(MAX_CORRECTION * ahead, 1.0))


def _network(timed, values_alone=False):
    """From the change and the value, with the clock beside them, to the change; or from the value, with the clock
    beside it, to the value."""
    return regression_network([1] * (1 if values_alone else 2) + ([FEATURES] if timed else []))


def regression_network(inputs: list[int], outputs: int = 1) -> dh.Network:
    """The network of a Learner, for noisy regression. inputs: the number of features of each input. outputs: how many
    numbers it predicts."""
    inputs = [dh.Input((features,)) for features in inputs]
    x = dh.Concat()(inputs) if len(inputs) > 1 else inputs[0]
    h = dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(x))
    h = dh.RunningNorm()(dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(h)))
    columns = dh.SpatialPooler(columns=256, winners=20, lr_scale=SLOW)(h)
    cells = dh.TemporalMemory(cells_per_column=5)(columns)
    return dh.Network(inputs=inputs, outputs=dh.Linear(outputs)(dh.ReLU()(dh.Linear(256)(cells))))
