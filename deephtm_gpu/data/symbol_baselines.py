"""Trivial predictors of symbols, learned online. A useful model must beat them."""

from collections import Counter

import numpy as np

from deephtm_gpu.data.symbols import SymbolTask

LAST = 200  # queries over which an accuracy is taken


def frequent_accuracy(task: SymbolTask, last: int = LAST) -> float:
    """The accuracy of `frequent_right` over the `last` queries."""
    return float(frequent_right(task)[-last:].mean())


def frequent_right(task: SymbolTask) -> np.ndarray:
    """Whether the class that was the target of most earlier queries is right at each query. Returns (Q,) bool."""
    seen, guesses = Counter(), []
    for step in task.queries:
        guesses.append(_most(seen))
        seen[int(task.targets[step])] += 1
    return task.hits(guesses)


def markov_accuracy(task: SymbolTask, order: int, last: int = LAST, recent: bool = False) -> float:
    """The accuracy of `markov_right` over the `last` queries."""
    return float(markov_right(task, order, recent)[-last:].mean())


def markov_right(task: SymbolTask, order: int, recent: bool = False) -> np.ndarray:
    """Whether a Markov table is right at each query.

    The table holds what followed each context, the classes of the last `order` symbols. A context that is not in the
    table is shortened from its oldest symbol until it is.

    Parameters
    ----------
    task : SymbolTask
        The stream.
    order : int
        Symbols of a context.
    recent : bool, default False
        Predict what followed last; otherwise what followed most often. The first recovers quickly from a swap.

    Returns
    -------
    ndarray (Q,) bool
        For each query.
    """
    symbols, queries = task.symbols.tolist(), set(task.queries.tolist())
    table, guesses = {}, []
    for t in range(len(task.inputs)):
        contexts = [tuple(symbols[t + 1 - k:t + 1]) for k in range(min(order, t + 1), -1, -1)]
        if t in queries:
            guesses.append(_most(next((table[c] for c in contexts if c in table), {})))
        for context in contexts:
            seen = table.setdefault(context, Counter())
            if recent:
                seen.clear()
            seen[symbols[t + 1]] += 1
    return task.hits(np.array(guesses, int))


def _most(seen):
    return max(seen, key=seen.get) if seen else 0
