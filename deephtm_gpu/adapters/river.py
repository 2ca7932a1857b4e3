"""Learners for river (https://riverml.xyz): a regressor, an anomaly detector, a forecaster.

Rows are a sequence: what is predicted for a row depends on the rows learned before it.
"""

import copy
import math
from collections.abc import Hashable
from numbers import Real
from typing import Any

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.adapters.online import Scales, TargetModel, make_model
from deephtm_gpu.adapters.optional import import_optional
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.optimisers.base import Optimizer

base = import_optional("river.base", "river")
time_series = import_optional("river.time_series.base", "river")

NO_SCORE = 0.5  # before anything can be said: as AnomalyLikelihood

Features = dict[Hashable, Any]


class _Reader:
    """Rows as dicts -> arrays, in the order of `names`."""

    def __init__(self, features: tuple | None, first: Features):
        """features: the names; None for those of the first row, sorted."""
        self.names = tuple(sorted(first, key=str) if features is None else features)

    def __call__(self, x: Features) -> np.ndarray:
        """Returns (D,) float64, NaN where a feature is missing. Raises UserError for what is no number."""
        return np.array([_number(name, x.get(name)) for name in self.names], np.float64)


def _number(name, value):
    if value is None:
        return math.nan
    if not isinstance(value, (Real, np.number, np.bool_)):
        raise UserError(f"Feature {name!r} must be a number, got {value!r}; encode it, such as by river's "
                        "OneHotEncoder, or leave it out.")
    if math.isinf(value):
        raise UserError(f"Feature {name!r} must be finite, got {value}; leave it out of this row.")
    return float(value)


def _target(y):
    if not isinstance(y, (Real, np.number, np.bool_)) or not math.isfinite(y):
        raise UserError(f"y must be a finite number, got {y!r}; leave the row out.")
    return np.array([y], np.float64)


class DeepHTMRegressor(base.Regressor):
    """Predicts a number from the features of a row and of the rows before it.

    Features and targets are standardised online. The features are fixed by the first row that is learned, or by
    `features`: one that is missing later, None or NaN counts as its mean so far, and a new one is ignored. Strings are
    refused.

    Parameters
    ----------
    net : dh.Sequential or dh.Network, optional
        From the features, a vector, to 1 number. None for that of `deephtm run`.
    optimizer : optimiser, optional
        None for that of `deephtm run`.
    features : tuple, optional
        Names of the features. None for those of the first row that is learned.
    seed : int, default 0
        Seed of the initial weights.
    device : str, default "auto"
        As in `dh.Model`.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> from deephtm_gpu.adapters.river import DeepHTMRegressor
    >>> stream = datasets.TrumpApproval().take(300)
    >>> error = evaluate.progressive_val_score(stream, DeepHTMRegressor(device="numpy"), metrics.MAE())
    >>> error.get() < 5
    True
    """

    def __init__(self, net: dh.Sequential | dh.Network | None = None, optimizer: Optimizer | None = None,
                 features: tuple | None = None, seed: int = 0, device: str = "auto") -> None:
        self.net, self.optimizer, self.features, self.seed, self.device = net, optimizer, features, seed, device
        self._reader = self._online = None

    def learn_one(self, x: Features, y: float) -> None:
        """Learn the next row.

        Parameters
        ----------
        x : dict
            Name of a feature -> number.
        y : float
            The target, finite.

        Raises
        ------
        UserError
            For what is no number, and if `net` does not fit the features.
        TrainingError
            If the training diverged.
        """
        reader = self._reader or _Reader(self.features, x)
        row, y = reader(x), _target(y)  # before anything is changed: they may be refused
        if self._online is None:
            self._online = TargetModel(_size(reader), self.net, self.optimizer, self.seed, self.device)
            self._reader = reader
        self._online.learn(row[None], y)

    def predict_one(self, x: Features) -> float:
        """Predict the target of the next row. Nothing is changed.

        Parameters
        ----------
        x : dict
            Name of a feature -> number.

        Returns
        -------
        float
            0 before anything is learned.
        """
        return 0.0 if self._online is None else float(self._online.predict(self._reader(x)[None])[0])


class DeepHTMDetector(base.AnomalyDetector):
    """Scores how unexpected a row is after the rows before it, from 0 to 1.

    The network learns to predict the next row. The score is the anomaly likelihood, `AnomalyLikelihood`, of its anomaly
    scores; it is 0.5 in the first `learning + estimation` rows. Features as in `DeepHTMRegressor`.

    Parameters
    ----------
    net : dh.Sequential or dh.Network, optional
        From the features, a vector, to as many numbers, with a TemporalMemory. None for that of `deephtm run`.
    optimizer, features, seed, device
        As in `DeepHTMRegressor`.
    window, short, learning, estimation : int
        As in `AnomalyLikelihood`.

    Raises
    ------
    UserError
        As `AnomalyLikelihood`.

    Examples
    --------
    >>> from deephtm_gpu.adapters.river import DeepHTMDetector
    >>> detector = DeepHTMDetector(learning=100, estimation=50, device="numpy")
    >>> for t in range(300):
    ...     detector.learn_one({"x": t % 5})
    >>> usual, unusual = detector.score_one({"x": 0}), detector.score_one({"x": 3})
    >>> usual < unusual
    True
    """

    def __init__(self, net: dh.Sequential | dh.Network | None = None, optimizer: Optimizer | None = None,
                 features: tuple | None = None, window: int = 8640, short: int = 10, learning: int = 288,
                 estimation: int = 100, seed: int = 0, device: str = "auto") -> None:
        self.net, self.optimizer, self.features, self.seed, self.device = net, optimizer, features, seed, device
        self.window, self.short, self.learning, self.estimation = window, short, learning, estimation
        self._likelihood = AnomalyLikelihood(window, short, learning, estimation)
        self._reader = self._model = self._scales = None

    def learn_one(self, x: Features) -> None:
        """Learn the next row.

        Parameters
        ----------
        x : dict
            Name of a feature -> number.

        Raises
        ------
        UserError
            For what is no number, and if `net` does not fit the features or has no TemporalMemory.
        TrainingError
            If the training diverged.
        """
        reader = self._reader or _Reader(self.features, x)
        row = reader(x)  # before anything is changed: it may be refused
        if self._model is None:
            size = _size(reader)
            self._model = make_model(self.net, size, size, self.optimizer, self.seed, self.device)
            self._reader, self._scales = reader, Scales(size)
        z = self._scales.standardise(row[None])
        self._likelihood.update(_anomaly(self._model.step(z[0]).anomaly))

    def score_one(self, x: Features) -> float:
        """Score the next row. Nothing is changed.

        Parameters
        ----------
        x : dict
            Name of a feature -> number.

        Returns
        -------
        float
            From 0 to 1; 0.5 while nothing can be said.
        """
        if self._model is None:
            return NO_SCORE
        history = self._model.trace(self._scales.look(self._reader(x)[None]))
        return copy.deepcopy(self._likelihood).update(_anomaly(history.anomaly[0]))


class DeepHTMForecaster(time_series.Forecaster):
    """Forecasts a series, one value after the other, each from the last value (its own forecast, from the second on).

    Parameters
    ----------
    net : dh.Sequential or dh.Network, optional
        From the last value and the features of the row, a vector, to 1 number. None for that of `deephtm run`.
    optimizer, features, seed, device
        As in `DeepHTMRegressor`. `features` are the exogenous ones; None for those of the first row that is learned.

    Examples
    --------
    >>> from deephtm_gpu.adapters.river import DeepHTMForecaster
    >>> forecaster = DeepHTMForecaster(device="numpy")
    >>> for t in range(500):
    ...     forecaster.learn_one(t % 5)
    >>> [round(y) for y in forecaster.forecast(horizon=4)]
    [0, 1, 2, 3]
    """

    def __init__(self, net: dh.Sequential | dh.Network | None = None, optimizer: Optimizer | None = None,
                 features: tuple | None = None, seed: int = 0, device: str = "auto") -> None:
        self.net, self.optimizer, self.features, self.seed, self.device = net, optimizer, features, seed, device
        self._reader = self._online = None
        self._last = math.nan  # the last value, a feature of the next row

    def learn_one(self, y: float, x: Features | None = None) -> None:
        """Learn the next value.

        Parameters
        ----------
        y : float
            The value, finite.
        x : dict, optional
            Exogenous features of the same row.

        Raises
        ------
        UserError, TrainingError
            As `DeepHTMRegressor.learn_one`.
        """
        reader = self._reader or _Reader(self.features, x or {})
        row, y = _after(self._last, reader(x or {})), _target(y)  # before anything is changed: they may be refused
        if self._online is None:
            self._online = TargetModel(len(row), self.net, self.optimizer, self.seed, self.device)
            self._reader = reader
        self._online.learn(row[None], y)
        self._last = float(y[0])

    def forecast(self, horizon: int, xs: list[Features] | None = None) -> list[float]:
        """Forecast the next values. Nothing is changed.

        Parameters
        ----------
        horizon : int
            How many values.
        xs : list of dict, optional
            The exogenous features of each of them.

        Returns
        -------
        list of float
            Zeros before anything is learned.

        Raises
        ------
        UserError
            If `xs` has another length.
        """
        xs = [{}] * check_count("horizon", horizon) if xs is None else xs
        if len(xs) != horizon:
            raise UserError(f"xs must have the features of {horizon} rows, the horizon, got {len(xs)}.")
        if self._online is None:
            return [0.0] * horizon
        online, values = copy.deepcopy(self._online), [self._last]
        for x in xs:
            values.append(online.follow(_after(values[-1], self._reader(x))))
        return values[1:]


def _after(last, row):
    """The row (D,) of a series, with the value before it: (1 + D,)."""
    return np.concatenate([[last], row])


def _size(reader):
    if not reader.names:
        raise UserError("The first row must have a feature or more, got none; give `features`, or learn no empty row.")
    return len(reader.names)


def _anomaly(score):
    if math.isnan(score):
        raise UserError("The net of a DeepHTMDetector must have a TemporalMemory, got one without; its surprise is the "
                        "score.")
    return float(score)
