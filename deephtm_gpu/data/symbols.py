"""Streams of symbols that are predicted online, and the scores of predictions."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.errors import UserError

WINDOW = 100  # queries in the moving average


@dataclass(frozen=True)
class SymbolTask:
    """T steps of a stream without reset. The class of the next symbol is predicted at every step and scored at the
    queries.

    Attributes
    ----------
    inputs : ndarray (T, D) float32
        The code of the symbol at each step.
    symbols : ndarray (T + 1,) int
        The class of each symbol, and of one more, so that the last step has a target too.
    queries : ndarray (Q,) int
        The steps whose predictions are scored.
    valid : ndarray (Q, classes) bool
        The classes that are right at each query.
    names : tuple of str
        Of the classes.
    swap_at : int or None
        The first step of another rule; None if the rule does not change.
    """

    inputs: np.ndarray
    symbols: np.ndarray
    queries: np.ndarray
    valid: np.ndarray
    names: tuple[str, ...]
    swap_at: int | None = None

    @property
    def targets(self):
        """(T,) int: the class of the next symbol, for every step."""
        return self.symbols[1:]

    @property
    def classes(self):
        """How many classes there are."""
        return len(self.names)

    def right(self, prediction) -> np.ndarray:
        """Whether the most probable class at each query is valid.

        Parameters
        ----------
        prediction : array (T, classes)
            As `History.prediction`. Of equal probabilities the first counts.

        Returns
        -------
        ndarray (Q,) bool
            For each query.

        Raises
        ------
        UserError
            If the prediction has another shape.
        """
        prediction = np.asarray(prediction)
        if prediction.shape != (len(self.inputs), self.classes):
            raise UserError(f"The prediction must have shape ({len(self.inputs)}, {self.classes}), steps and "
                            f"classes, got shape {prediction.shape}.")
        return self.hits(prediction[self.queries].argmax(axis=1))

    def hits(self, guesses) -> np.ndarray:
        """Whether a class for each query, (Q,) int, is valid. Returns (Q,) bool."""
        return self.valid[np.arange(len(self.queries)), guesses]


def moving_accuracy(right, window: int = WINDOW) -> np.ndarray:
    """The mean over each query and the window - 1 before it. right: (Q,) bool. Returns (Q,); NaN until the window is
    full."""
    total = np.concatenate([[0], np.cumsum(right)])  # (Q + 1,)
    moving = np.full(len(right), np.nan)
    moving[window - 1:] = (total[window:] - total[:-window]) / window
    return moving


def elements_to(task: SymbolTask, right, level: float = 0.95, window: int = WINDOW) -> tuple[int | None, int | None]:
    """How many symbols it takes until the moving accuracy reaches `level`.

    Parameters
    ----------
    task : SymbolTask
        The stream.
    right : array (Q,) bool
        As from `SymbolTask.right`.
    level : float, default 0.95
        The accuracy to reach.
    window : int, default 100
        Queries of the moving accuracy.

    Returns
    -------
    before : int or None
        From the start, over the queries before the swap; None if the level is never reached.
    after : int or None
        From `swap_at`, over the queries after the swap; None if it is never reached, or without a swap.
    """
    end = len(task.inputs) if task.swap_at is None else task.swap_at
    before = task.queries < end
    after = None if task.swap_at is None else _first(task.queries[~before] - end, right[~before], level, window)
    return _first(task.queries[before], right[before], level, window), after


def _first(steps, right, level, window):
    if len(steps) < window:
        return None
    reached = np.flatnonzero(moving_accuracy(right, window) >= level)  # NaN is not
    return int(steps[reached[0]]) + 1 if len(reached) else None


# Helpers of the generators


def random_codes(rng, symbols, size):
    """(symbols, size) float32: a fixed code for each symbol, N(0, 1)."""
    return rng.standard_normal((symbols, size)).astype(np.float32)


def assemble(steps, codes, classes, stream, queries, valid, names, swap_at=None):
    """A SymbolTask of the first `steps` symbols of a stream.

    codes: (symbols, D) and classes: (symbols,), of each symbol. stream: a list of more than `steps` symbols.
    queries: a list of steps, ascending. valid: for each query, a list of the symbols that are right.
    """
    count = int(np.searchsorted(queries, steps))
    right = np.zeros((count, len(names)), bool)
    for row, symbols in zip(right, valid):
        row[classes[symbols]] = True
    stream = np.array(stream[:steps + 1])
    return SymbolTask(codes[stream[:-1]], classes[stream], np.array(queries[:count], int), right, tuple(names), swap_at)


def check_steps(steps):
    if steps < 1:
        raise UserError(f"The steps of a task must be 1 or more, got {steps}.")
