"""A show of a series of numbers."""

import numpy as np

from deephtm_gpu.view.live.model_show import ModelShow
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Line, Series


class SeriesShow(ModelShow):
    """A model that learns a series of numbers.

    Parameters
    ----------
    model : dh.Model
        With a SpatialPooler and a TemporalMemory, and one stream.
    series : array (T,) or (T, 1)
        The series.
    title : str
        Of the picture.
    ahead : int, default 1
        How many steps ahead it predicts.
    learn : callable, optional
        For a model with other inputs than the numbers: learn(begin, end) learns these steps and returns the predictions
        that were made at each, for `ahead` steps later, (n,), and the History.
    lines : dict, optional
        The errors of trivial predictors, by name.
    limits : (float, float), optional
        Of the axis of the series.
    value : str, default "value"
        Name of the numbers.
    error, error_limits, error_log
        Title and axis of the track of the error.
    levels : sequence of str
        Titles of the levels that are shown, in the order of flow; () for the first level, without a title.
    **spec
        Further arguments of Spec.

    Attributes
    ----------
    prediction : ndarray (T,)
        The prediction for each step, made `ahead` steps earlier.
    anomaly : ndarray (T,)
        The anomaly scores.

    Raises
    ------
    UserError
        If the model has several streams, or no memory after a pooler.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.data.sine import sine
    >>> net = dh.Sequential(dh.SpatialPooler(columns=16, winners=3), dh.TemporalMemory(3), dh.Linear(1))
    >>> show = view.SeriesShow(dh.Model(net, input_shape=(1,), device="numpy"), sine(100), "A sine")
    >>> show.advance(100, show.ring())
    100
    """

    def __init__(
        self,
        model,
        series,
        title,
        ahead=1,
        learn=None,
        lines=None,
        limits=None,
        value="value",
        error="|error|",
        error_limits=(1e-4, 3.0),
        error_log=True,
        levels=(),
        **spec,
    ):
        series = np.asarray(series, np.float32).reshape(len(series))
        super().__init__(model, len(series), levels)
        self.series, self._ahead = series, ahead
        self._learn_steps = learn or self._fit
        self._pending = np.full(ahead, np.nan, np.float32)  # predictions whose truth has not arrived
        self.prediction = np.full(len(series), np.nan, np.float32)  # (T,)
        self.anomaly = np.full(len(series), np.nan, np.float32)  # (T,)
        low, high = float(series.min()), float(series.max())
        margin = 0.12 * ((high - low) or 1.0)
        tracks = (Series(value, limits or (low - margin, high + margin)),
                  Line("error", error, error_limits, error_log, lines or {}), *self.memory_tracks())
        self.spec = Spec(title, tracks, **spec)

    @property
    def error(self):
        """(T,) float64: prediction minus truth; NaN without a prediction."""
        return self.prediction.astype(np.float64) - self.series

    def reset(self):
        super().reset()
        self._pending[:] = np.nan

    def _fit(self, begin, end):
        history = self.model.fit(self.series[begin:end, None], ahead=self._ahead)
        return history.prediction[:, 0], history

    def _learn(self, begin, end):
        predictions, history = self._learn_steps(begin, end)
        predictions = np.concatenate([self._pending, np.asarray(predictions, np.float32)])
        due, self._pending = predictions[: end - begin], predictions[end - begin :]
        self.prediction[begin:end], self.anomaly[begin:end] = due, history.anomaly
        truth = self.series[begin:end]
        return {"truth": truth, "prediction": due, "error": abs(due - truth)} | self.memory_fields(history)[0]
