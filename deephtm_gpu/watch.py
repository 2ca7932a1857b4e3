"""Watches learning for NaN and infinity: stops with the step and the layer, and puts back the last good weights."""

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.errors import TrainingError

EVERY = 2048  # rows at least between two snapshots: a copy of everything costs as much as many steps


class Watch:
    def __init__(self, backend, plan):
        self._backend, self._plan = backend, plan
        self.forget()

    def forget(self):
        """The weights were changed from outside: take a new snapshot before the next chunk."""
        self._snapshot, self._since = None, []

    def run(self, rows: Batch, done: int) -> Outputs:
        """backend.run(rows), checked. done: rows of the series before these, for the message."""
        if self._snapshot is None or sum(map(len, self._since)) >= EVERY:
            self._snapshot, self._since = self._backend.snapshot(), []
        told = self._backend.run(rows)
        bad = _first_bad(told, rows, self._plan)
        if bad is None:
            self._since.append(rows.copy())  # a live stream may use its own array again
            return told
        models = _models_of(told, rows, self._plan, bad)
        layer = self._find_layer(rows, bad)
        self._backend.restore(self._snapshot)
        for earlier in self._since:  # to where this chunk began: the model's own counts are still those
            self._backend.run(earlier)
        raise TrainingError(
            f"Learning went out of bounds at step {done + bad}: {layer}{self._whose(models)} gave NaN or infinity. The model is back at "
            f"step {done}, before this chunk; try a smaller learning rate, or scale the series to about -1..1.",
            done + bad, layer, models)

    def _whose(self, models) -> str:
        if self._plan.models == 1:
            return ""
        return f" of model {models[0]}" + (f" and {len(models) - 1} more" if len(models) > 1 else "")

    def _find_layer(self, rows: Batch, bad: int) -> str:
        """Runs again up to the bad row and looks for the first call whose result is not finite."""
        self._backend.restore(self._snapshot)
        for earlier in self._since:
            self._backend.run(earlier)
        ahead = self._plan.ahead
        if bad:
            self._backend.run(rows.part(0, bad, ahead))
        self._backend.run(rows.part(bad, bad + 1, ahead))
        for call in self._plan.calls(learn=True, due=True):
            slot = self._plan.slot(call, rows.first + bad)
            for tensor in call.written:
                if not tensor.index and not _finite(self._backend.read(tensor.name, slot)):
                    return f"layer {call.layer}" if not call.layer.startswith("loss") else "the loss"
        return "the prediction"


def _finite(value) -> bool:
    return all(np.isfinite(v).all() for v in value) if isinstance(value, list) else bool(np.isfinite(value).all())


def _first_bad(told: Outputs, rows: Batch, plan) -> int | None:
    """The first row with a prediction, an anomaly score, or a loss that was due, that is not finite."""
    good = _good(told, rows, plan).all(axis=1)
    return None if good.all() else int(np.argmin(good))


def _models_of(told, rows, plan, row) -> tuple[int, ...]:
    """The models that went in this row."""
    bad = ~_good(told, rows, plan)[row]
    return tuple(sorted({int(unit) // plan.streams for unit in np.flatnonzero(bad)}))


def _good(told, rows, plan) -> np.ndarray:
    """Where all is finite, (rows, S)."""
    good = np.ones(told.anomaly.shape, bool)
    for p in told.predictions:
        good &= np.isfinite(p).all(axis=2)
    due = np.arange(len(rows)) + rows.pending >= plan.ahead
    if plan.anomaly:
        good &= np.isfinite(told.anomaly)
    for loss in told.losses:
        good &= np.isfinite(loss) | ~due[:, None]
    return good
