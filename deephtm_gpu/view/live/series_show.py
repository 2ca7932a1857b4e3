"""A show of a series of numbers."""

import numpy as np

from deephtm_gpu.view.live.model_show import ModelShow
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Line, Series


class SeriesShow(ModelShow):
    """model learns `series`, (T,) or (T, 1), to predict it `ahead` steps ahead.

    learn: for a stream of more than the numbers: learn(begin, end) learns these steps and returns (what was predicted at each, for
    `ahead` steps later, (n,); the History). lines: the trivial predictors' error by name. limits: of the series' axis. value: what the
    numbers are. error, error_limits, error_log: title and axis of the error's track. levels: as of a ModelShow. spec: whatever else of a
    Spec."""

    def __init__(self, model, series, title, ahead=1, learn=None, lines=None, limits=None, value="value", error="|error|",
                 error_limits=(1e-4, 3.0), error_log=True, levels=(), **spec):
        series = np.asarray(series, np.float32).reshape(len(series))
        super().__init__(model, len(series), levels)
        self.series, self._ahead = series, ahead
        self._told = learn or self._fit
        self._waiting = np.full(ahead, np.nan, np.float32)  # predictions whose truth has not come
        self.prediction = np.full(len(series), np.nan, np.float32)  # (T,), of each step, made `ahead` earlier
        self.anomaly = np.full(len(series), np.nan, np.float32)  # (T,)
        low, high = float(series.min()), float(series.max())
        room = 0.12 * ((high - low) or 1.0)
        self.spec = Spec(title, (Series(value, limits or (low - room, high + room)), Line("error", error, error_limits, error_log, lines or {}),
                                 *self.memory_tracks()), **spec)

    @property
    def error(self):
        """(T,) float64: prediction less truth; NaN where nothing was predicted."""
        return self.prediction.astype(np.float64) - self.series

    def reset(self):
        super().reset()
        self._waiting[:] = np.nan

    def _fit(self, begin, end):
        history = self.model.fit(self.series[begin:end, None], ahead=self._ahead)
        return history.prediction[:, 0], history

    def _learn(self, begin, end):
        made, history = self._told(begin, end)
        made = np.concatenate([self._waiting, np.asarray(made, np.float32)])
        due, self._waiting = made[: end - begin], made[end - begin :]
        self.prediction[begin:end], self.anomaly[begin:end] = due, history.anomaly
        truth = self.series[begin:end]
        return {"truth": truth, "prediction": due, "error": abs(due - truth)} | self.memory_fields(history)[0]
