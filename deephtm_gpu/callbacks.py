"""Callbacks for `Model.fit`: objects that are called after every chunk.

A callback is a function of (steps done, History of the chunk); learning stops where it returns True. An object may also have `begin(model)`,
called before the first chunk, and `end()`, called when the series is through.
"""

import json
from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError


class SaveEvery:
    """Saves the model after every so many steps, at the end of a chunk, and when the series is through.

    Parameters
    ----------
    path : str or path-like
        The file, written whole or not at all each time.
    steps : int
        Steps between two saves, at least.

    Examples
    --------
    >>> callback = SaveEvery("sine.model", steps=10_000)
    """

    def __init__(self, path, steps: int):
        self.path, self.steps = path, check_count("SaveEvery's steps", steps)

    def begin(self, model) -> None:
        self._model, self._saved = model, model.steps

    def __call__(self, done, history) -> None:
        if self._model.steps - self._saved >= self.steps:
            self.end()

    def end(self) -> None:
        self._model.save(self.path)
        self._saved = self._model.steps


class StopWhen:
    """Stops learning as soon as a condition holds.

    Parameters
    ----------
    condition : callable
        From the History of a chunk to a truth value.

    Examples
    --------
    >>> callback = StopWhen(lambda history: history.loss[-100:].mean() < 1e-5)
    """

    def __init__(self, condition):
        if not callable(condition):
            raise UserError(f"StopWhen's condition must be a function of a History, got {condition!r}.")
        self.condition = condition

    def __call__(self, done, history) -> bool:
        return bool(self.condition(history))


class LogTo:
    """Reports the mean loss and anomaly score of every chunk.

    Parameters
    ----------
    writer : object
        One with `add_scalar(name, value, step)`, such as TensorBoard's SummaryWriter; or an open text file, to which a line of JSON is
        written; or a function of a dictionary.

    Examples
    --------
    >>> callback = LogTo(print)
    """

    def __init__(self, writer: Any):
        if not (hasattr(writer, "add_scalar") or hasattr(writer, "write") or callable(writer)):
            raise UserError(f"LogTo's writer must have add_scalar or write, or be a function, got {writer!r}.")
        self.writer = writer

    def begin(self, model) -> None:
        self._model = model

    def __call__(self, done, history) -> None:
        values = {}
        for name, array in (("loss", history.loss), ("anomaly", history.anomaly)):
            known = array[np.isfinite(array)]
            values[name] = float(known.mean()) if known.size else None
        step = self._model.steps
        if hasattr(self.writer, "add_scalar"):
            for name, value in values.items():
                if value is not None:
                    self.writer.add_scalar(name, value, step)
        elif hasattr(self.writer, "write"):
            self.writer.write(json.dumps({"step": step, **values}) + "\n")
        else:
            self.writer({"step": step, **values})
