"""An estimator for scikit-learn."""

from typing import Any, Self

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.adapters.online import TargetModel
from deephtm_gpu.adapters.optional import import_optional

base = import_optional("sklearn.base", "sklearn")
validation = import_optional("sklearn.utils.validation", "sklearn")

SEEDS = 2**31 - 1


class DeepHTMRegressor(base.RegressorMixin, base.BaseEstimator):
    """Predicts a number from each row and from the rows before it, learned online, in one pass.

    Rows are a sequence, in the order in which they are given: do not shuffle them (`TimeSeriesSplit` cuts them in
    order). `fit` begins a new sequence with new weights, `partial_fit` continues. The rows given to `predict` are those
    that would come next; `predict` changes nothing. Features and targets are standardised online.

    Parameters
    ----------
    net : dh.Sequential or dh.Network, optional
        From the features, a vector, to 1 number. None for that of `deephtm run`.
    optimizer : optimiser, optional
        None for that of `deephtm run`.
    random_state : int, RandomState or None, optional
        Decides the initial weights.
    device : str, default "auto"
        As in `dh.Model`.

    Attributes
    ----------
    model_ : dh.Model
        The model, in standardised units.
    n_features_in_ : int
        D.

    Examples
    --------
    >>> import numpy as np
    >>> from deephtm_gpu.adapters.sklearn import DeepHTMRegressor
    >>> t = np.arange(1200)
    >>> X, y = np.sin(t / 5)[:, None], np.sin((t + 1) / 5)  # the next value: rising or falling, it depends on the past
    >>> regressor = DeepHTMRegressor(random_state=0, device="numpy").fit(X[:1000], y[:1000])
    >>> regressor.score(X[1000:], y[1000:]) > 0.9
    True
    """

    def __init__(self, net: dh.Sequential | dh.Network | None = None, optimizer: Any = None, random_state: Any = None,
                 device: str = "auto") -> None:
        self.net, self.optimizer, self.random_state, self.device = net, optimizer, random_state, device

    def fit(self, X: Any, y: Any) -> Self:
        """Learn a sequence, from new weights on.

        Parameters
        ----------
        X : array_like or data frame (T, D)
            The rows, in their order.
        y : array_like (T,)
            The targets.

        Returns
        -------
        DeepHTMRegressor
            Itself.

        Raises
        ------
        ValueError
            As scikit-learn's estimators, and a UserError if `net` does not fit the rows.
        TrainingError
            If the training diverged.
        """
        X, y = validation.validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        seed = int(validation.check_random_state(self.random_state).randint(SEEDS))
        self._online = TargetModel(X.shape[1], self.net, self.optimizer, seed, self.device)
        self.model_ = self._online.model
        self._online.learn(X, y)
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Learn the next rows of the sequence.

        Parameters
        ----------
        X, y
            As of `fit`.

        Returns
        -------
        DeepHTMRegressor
            Itself.

        Raises
        ------
        ValueError, TrainingError
            As `fit`.
        """
        if not hasattr(self, "_online"):
            return self.fit(X, y)
        X, y = validation.validate_data(self, X, y, y_numeric=True, dtype=np.float64, reset=False)
        self._online.learn(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of the next rows. Nothing is changed.

        Parameters
        ----------
        X : array_like or data frame (T, D)
            The rows, in their order.

        Returns
        -------
        ndarray (T,), float64

        Raises
        ------
        ValueError
            As scikit-learn's estimators.
        """
        validation.check_is_fitted(self)
        return self._online.predict(validation.validate_data(self, X, dtype=np.float64, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # one pass: after the 200 rows of a check it has hardly begun
        return tags
