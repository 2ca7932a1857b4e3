"""The rows of the learning table on streams of symbols: one configuration for all (`networks.symbols`)."""

from functools import partial
from math import inf

import numpy as np

from deephtm_gpu.bench.networks import symbols_model
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.high_order import high_order
from deephtm_gpu.data.letters import letters
from deephtm_gpu.data.reber import reber
from deephtm_gpu.data.symbol_baselines import frequent_accuracy, frequent_right, markov_accuracy, markov_right
from deephtm_gpu.data.symbols import elements_to

STEPS_SEEN = 100  # steps at the end, over which the active cells are counted
LAST = 200  # queries over which an accuracy is taken
FIRST, AGAIN, ACCURACY, CELLS = "elements to 95 %", "after the swap", "accuracy", "cells per column"
SPARSE = Bound(CELLS, each=2.2)


def _learn(task, seed, device, **network):
    """Whether each query was predicted right, (Q,), and the mean number of active cells in a winning column over the
    last steps."""
    model = symbols_model(task, seed=seed, device=device, **network)
    steps = len(task.inputs) - STEPS_SEEN
    predictions, active = [model.fit(task.inputs[:steps], task.targets[:steps]).prediction], []
    for x, target in zip(task.inputs[steps:], task.targets[steps:]):
        predictions.append(model.step(x, target).prediction[None])
        (memory,) = (s for s in model.state().values() if "cells" in s)
        cells = (memory["cells"] > 0).sum(axis=1)  # (C,)
        active.append(cells[cells > 0].mean())
    return task.right(np.concatenate(predictions)), float(np.mean(active))


def _high_order(seed, device, noise_classes=1, **network) -> Figures:
    task = high_order(seed=seed, noise_classes=noise_classes)
    right, cells = _learn(task, seed, device, **network)
    return {**_elements(task, right), CELLS: cells}


def _accuracy(seed, device, make, **network) -> Figures:
    right, cells = _learn(make(seed=seed), seed, device, **network)
    return {ACCURACY: float(right[-LAST:].mean()), CELLS: cells}


def _before_the_swap(seed, device, **network) -> Figures:
    """The accuracy over the last 200 queries before the swap."""
    task = high_order(seed=seed)
    right, _ = _learn(task, seed, device, **network)
    return {ACCURACY: float(right[task.queries < task.swap_at][-LAST:].mean())}


def _elements(task, right) -> Figures:
    before, after = elements_to(task, right)
    return {FIRST: float(before or inf), AGAIN: float(after or inf)}


def _trivial_high_order(seed, noise_classes=1) -> Figures:
    """A table of order 7 solves the task; one of order 2 does not."""
    task = high_order(seed=seed, noise_classes=noise_classes)
    figures = {f"most frequent, {k}": v for k, v in _elements(task, frequent_right(task)).items()}
    for order in (2, 7):
        figures |= {
            f"order {order}, {k}": v for k, v in _elements(task, markov_right(task, order, recent=True)).items()
        }
    return figures


def _trivial(seed, make) -> Figures:
    task = make(seed=seed)
    return {
        "most frequent": frequent_accuracy(task),
        "order 2": markov_accuracy(task, 2),
        "order 7": markov_accuracy(task, 7),
    }


def _letters(n, *bounds):
    make = partial(letters, n, steps=20_000 if n < 50 else 50_000)
    return Row(f"letters, n = {n}", partial(_accuracy, make=make), bounds, partial(_trivial, make=make))


SYMBOL_ROWS = (
    Row(
        "high-order sequences",
        _high_order,
        (Bound(FIRST, each=2600), Bound(AGAIN, each=2700), SPARSE),
        _trivial_high_order,
    ),
    Row(
        "high-order, 100 noise classes",
        partial(_high_order, noise_classes=100),
        (),
        partial(_trivial_high_order, noise_classes=100),
    ),
    Row(
        "high-order, cells that see a third",
        partial(_high_order, synapses=1024),
        (Bound(FIRST, each=2600), Bound(AGAIN, each=2700), SPARSE),
    ),
    _letters(5, Bound(ACCURACY, above=0.97), SPARSE),
    _letters(10, Bound(ACCURACY, above=0.97), SPARSE),
    _letters(20, Bound(ACCURACY, above=0.93, mean_above=0.96), SPARSE),
    _letters(50, Bound(ACCURACY, above=0.93, mean_above=0.96), SPARSE),
    _letters(100),  # beyond the published table: no bound
    Row(
        "embedded Reber grammar",
        partial(_accuracy, make=reber),
        (Bound(ACCURACY, above=0.93, mean_above=0.96), SPARSE),
        partial(_trivial, make=reber),
    ),
    Row(
        "control: no memory, letters, n = 20",
        partial(_accuracy, make=partial(letters, 20), gate="uniform"),
        (Bound(ACCURACY, each=0.70),),
    ),
    Row("control: no memory, high-order", partial(_before_the_swap, gate="uniform"), (Bound(ACCURACY, each=0.45),)),
    Row("control: distal frozen, high-order", partial(_high_order, distal=0.0), (Bound(AGAIN, above=3500),)),
)
