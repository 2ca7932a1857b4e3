"""What the adapters share: a model of a stream of rows, with the scales of its numbers."""

import copy

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.learner import regression_network, steady_optimizer


class Scales:
    """An OnlineScaler for each of D features.

    Parameters
    ----------
    features : int
        D.
    """

    def __init__(self, features: int):
        self._scalers = [OnlineScaler() for _ in range(features)]

    def standardise(self, X: np.ndarray) -> np.ndarray:
        """Take the next rows. X (T, D) float64, NaN where a feature is missing: that becomes 0, the mean, and its scale
        stays. Returns (T, D) float32."""
        z = np.zeros(X.shape, np.float32)
        for j, scaler in enumerate(self._scalers):
            present = ~np.isnan(X[:, j])
            z[present, j] = scaler.standardise(X[present, j])[0]
        return z

    def look(self, X: np.ndarray) -> np.ndarray:
        """What `standardise` would return; the scales stay."""
        return copy.deepcopy(self).standardise(X)


def make_model(net, features: int, outputs: int, optimizer, seed: int, device: str) -> dh.Model:
    """A model of D features. net, optimizer: None for those of a Learner."""
    net = regression_network([features], outputs) if net is None else net
    shape = (features,) if isinstance(net, dh.Sequential) else None
    return dh.Model(net, shape, optimizer=optimizer or steady_optimizer(), seed=seed, device=device)


class TargetModel:
    """Learns a number y from the row x of each step, and from the rows before it.

    Parameters
    ----------
    features : int
        D, the numbers of a row.
    net : dh.Sequential or dh.Network, optional
        From D numbers to 1; None for that of a Learner.
    optimizer, seed, device
        As in `dh.Model`; optimizer None for that of a Learner.
    """

    def __init__(self, features: int, net=None, optimizer=None, seed: int = 0, device: str = "auto"):
        self.model = make_model(net, features, 1, optimizer, seed, device)
        self._scales, self._target = Scales(features), OnlineScaler()
        self._mean = self._deviation = 0.0  # the scale of y, after the last one

    def learn(self, X: np.ndarray, y: np.ndarray) -> None:
        """Learn the next rows. X (T, D), NaN where a feature is missing; y (T,) finite."""
        z, mean, deviation = self._target.standardise(y)  # (T,) each
        self.model.fit(self._scales.standardise(X), z)
        self._mean, self._deviation = float(mean[-1]), float(deviation[-1])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The y (T,) of the rows X (T, D) if they came next. Everything stays as it was."""
        return self._values(self.model.predict(self._scales.look(X)))

    def follow(self, x: np.ndarray) -> float:
        """The y of the row x (D,), which has come: the temporal state goes on, nothing is learned."""
        return float(self._values(self.model.step(self._scales.look(x[None])[0], learn=False).prediction))

    def _values(self, prediction):
        return self._mean + self._deviation * prediction[..., 0].astype(np.float64)
