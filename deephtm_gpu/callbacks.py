"""Callbacks for `Model.fit`: objects that are called after every chunk.

A callback is a function of (steps done, History of the chunk); learning stops where it returns True. An object may also
have `begin(model)`, called before the first chunk, and `end()`, called when the series is through.
"""

import json
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_count, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.history import History


class SaveEvery:
    """Saves the model after every so many steps, at the end of a chunk, and when the series is through.

    Parameters
    ----------
    path : str or path-like
        The file, written whole or not at all each time.
    steps : int
        Steps between two saves, at least.

    Raises
    ------
    UserError
        Where steps is no whole number above 0.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> callback = dh.SaveEvery("sine.model", steps=10_000)
    """

    def __init__(self, path: str | PathLike[str], steps: int) -> None:
        self.path, self.steps = path, check_count("SaveEvery's steps", steps)

    def begin(self, model: Any) -> None:
        """Called before the first chunk.

        Parameters
        ----------
        model : Model
            The one that learns.
        """
        self._model, self._saved = model, model.steps

    def __call__(self, done: int, history: History) -> None:
        """Called after every chunk.

        Parameters
        ----------
        done : int
            Steps of the series so far.
        history : History
            Of the chunk.
        """
        if self._model.steps - self._saved >= self.steps:
            self.end()

    def end(self) -> None:
        """Called when the series is through."""
        self._model.save(self.path)
        self._saved = self._model.steps


class StopWhen:
    """Stops learning as soon as a condition holds.

    Parameters
    ----------
    condition : callable
        From the History of a chunk to a truth value.

    Raises
    ------
    UserError
        Where condition is no function.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> callback = dh.StopWhen(lambda history: history.loss[-100:].mean() < 1e-5)
    """

    def __init__(self, condition: Callable[[History], Any]) -> None:
        if not callable(condition):
            raise UserError(f"StopWhen's condition must be a function of a History, got {shown(condition)}.")
        self.condition = condition

    def __call__(self, done: int, history: History) -> bool:
        """Called after every chunk.

        Parameters
        ----------
        done : int
            Steps of the series so far.
        history : History
            Of the chunk.

        Returns
        -------
        bool
            Whether learning stops.
        """
        return bool(self.condition(history))


class LogTo:
    """Reports the mean loss and anomaly score of every chunk.

    Parameters
    ----------
    writer : object
        One with `add_scalar(name, value, step)`, such as TensorBoard's SummaryWriter; or an open text file, to which a
        line of JSON is written; or a function of a dictionary.

    Raises
    ------
    UserError
        Where writer is none of these.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> callback = dh.LogTo(print)
    """

    def __init__(self, writer: Any) -> None:
        if not (hasattr(writer, "add_scalar") or hasattr(writer, "write") or callable(writer)):
            raise UserError(f"LogTo's writer must have add_scalar or write, or be a function, got {shown(writer)}.")
        self.writer = writer

    def begin(self, model: Any) -> None:
        """Called before the first chunk.

        Parameters
        ----------
        model : Model
            The one that learns.
        """
        self._model = model

    def __call__(self, done: int, history: History) -> None:
        """Called after every chunk.

        Parameters
        ----------
        done : int
            Steps of the series so far.
        history : History
            Of the chunk.
        """
        values = {"loss": _mean(history.loss), "anomaly": _mean(history.anomaly)}
        step = self._model.steps
        if hasattr(self.writer, "add_scalar"):
            for name, value in values.items():
                if value is not None:
                    self.writer.add_scalar(name, value, step)
        elif hasattr(self.writer, "write"):
            self.writer.write(json.dumps({"step": step, **values}) + "\n")
        else:
            self.writer({"step": step, **values})


def _mean(array: np.ndarray) -> float | None:
    """Of what is known; None where nothing is."""
    known = array[np.isfinite(array)]
    return float(known.mean()) if known.size else None
