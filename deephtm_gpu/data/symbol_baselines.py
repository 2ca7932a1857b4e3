"""Trivial predictors of symbols, learned online: a score that they beat is no result."""

from collections import Counter

import numpy as np

LAST = 200  # queries that an accuracy is over


def frequent_accuracy(task, last=LAST):
    """The accuracy, over the `last` queries, of always guessing what came most often at the queries before."""
    return float(frequent_right(task)[-last:].mean())


def frequent_right(task):
    """(Q,) bool: whether the class that was the target of most earlier queries is right at each."""
    seen, guesses = Counter(), []
    for step in task.queries:
        guesses.append(_most(seen))
        seen[int(task.targets[step])] += 1
    return task.hits(guesses)


def markov_accuracy(task, order, last=LAST, recent=False):
    """The accuracy of `markov_right` over the `last` queries."""
    return float(markov_right(task, order, recent)[-last:].mean())


def markov_right(task, order, recent=False):
    """A table of what came after each context, the classes of the last `order` symbols; one with no entry is shortened from
    its far end until it has. It guesses what came most often, or what came last (`recent`), which a swap does not deceive
    for long. Returns (Q,) bool: whether it was right at each query."""
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
