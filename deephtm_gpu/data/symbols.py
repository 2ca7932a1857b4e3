"""Streams of symbols to be predicted online: what the tasks share, and how a prediction is scored."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.errors import UserError

WINDOW = 100  # queries in the moving average


@dataclass(frozen=True)
class SymbolTask:
    """T steps of a stream that is never reset. At each the next symbol's class is to be predicted; at some it counts.

    inputs: (T, D) float32, the code of the symbol at each step. symbols: (T + 1,) int, the class of each symbol, and of one
    more, so that the last step has a target too. queries: (Q,) int, the steps whose prediction is scored. valid: (Q, classes)
    bool, the classes which are right there. names: of the classes. swap_at: the first step of another rule, None without.
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
        return len(self.names)

    def right(self, prediction):
        """Whether the class that is most probable at each query is a valid one. prediction: (T, classes), as
        `History.prediction`; of equals the first counts. Returns (Q,) bool. Raises UserError."""
        prediction = np.asarray(prediction)
        if prediction.shape != (len(self.inputs), self.classes):
            raise UserError(f"A prediction of shape {prediction.shape} was to be scored; the task has {len(self.inputs)} steps "
                            f"and {self.classes} classes: give one of shape ({len(self.inputs)}, {self.classes}).")
        return self.hits(prediction[self.queries].argmax(axis=1))

    def hits(self, guesses):
        """guesses: (Q,) int, a class for each query. Returns (Q,) bool."""
        return self.valid[np.arange(len(self.queries)), guesses]


def moving_accuracy(right, window=WINDOW):
    """The mean of each query and the window - 1 before it. right: (Q,) bool. Returns (Q,); NaN until the window is full."""
    total = np.concatenate([[0], np.cumsum(right)])  # (Q + 1,)
    moving = np.full(len(right), np.nan)
    moving[window - 1:] = (total[window:] - total[:-window]) / window
    return moving


def elements_to(task, right, level=0.95, window=WINDOW):
    """How many elements it takes until the moving accuracy is at `level`: before the swap, counted from the start; after it,
    counted from `swap_at`, over no queries but those after the swap. right: (Q,) bool.

    Returns the pair; None where it never is (and for the second, where there is no swap).
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


# For those who make tasks


def random_codes(rng, symbols, size):
    """(symbols, size) float32: a fixed code for each symbol, N(0, 1)."""
    return rng.standard_normal((symbols, size)).astype(np.float32)


def assemble(steps, codes, classes, stream, queries, valid, names, swap_at=None):
    """A task out of what was drawn, cut to `steps`.

    codes: (symbols, D) and classes: (symbols,), of each symbol. stream: a list of more than `steps` symbols.
    queries: a list of steps, ascending; valid: for each, a list of the symbols that are right.
    """
    count = int(np.searchsorted(queries, steps))
    right = np.zeros((count, len(names)), bool)
    for row, symbols in zip(right, valid):
        row[classes[symbols]] = True
    stream = np.array(stream[:steps + 1])
    return SymbolTask(codes[stream[:-1]], classes[stream], np.array(queries[:count], int), right, tuple(names), swap_at)


def check_steps(steps):
    if steps < 1:
        raise UserError(f"A task of {steps} steps was asked for; it has at least one: give steps >= 1.")
