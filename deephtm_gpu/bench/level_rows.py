"""The rows of the flow table on letters, words and phrases (`data/words.py`): two levels, and one level with slow
contexts."""

from functools import partial

import numpy as np

from deephtm_gpu.bench.networks import levels_model
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.symbol_baselines import LAST, frequent_accuracy, markov_accuracy
from deephtm_gpu.data.words import words

ACCURACY = "accuracy"


def _accuracy(seed, device, make, ticks=True, **network) -> Figures:
    """ticks=False: the upper level never ticks, so its feedback is 0."""
    text = make(seed=seed)
    model = levels_model(text, seed=seed, device=device, **network)
    history = model.fit([text.task.inputs, text.ends if ticks else np.zeros_like(text.ends)], targets=text.task.targets)
    return {ACCURACY: float(text.task.right(history.prediction)[-LAST:].mean())}


def _trivial(seed, make) -> Figures:
    task = make(seed=seed).task
    return {
        "most frequent": frequent_accuracy(task),
        "order 2": markov_accuracy(task, 2),
        "order 8": markov_accuracy(task, 8),
    }


def _rows(name, make, above=None, most=None, traces=(0.97,), **upper):
    measure = partial(_accuracy, make=make, **upper)
    reach, keep = (Bound(ACCURACY, above=above),) if above else (), (Bound(ACCURACY, each=most),) if most else ()
    return (
        Row(f"{name}: two levels", measure, reach, partial(_trivial, make=make)),
        Row(f"control: {name}, feedback cut", partial(measure, ticks=False), keep),
        Row(f"{name}: one level, slow trace", partial(measure, feedback=False, traces=traces), ()),
        Row(f"{name}: one level, surprise clock", partial(measure, feedback=False, slow=True), ()),
        Row(f"{name}: one level, fast context alone", partial(measure, feedback=False), ()),
    )


LEVEL_ROWS = (
    *_rows("one word decides, 5 between", partial(words, between=5, steps=60_000), above=0.90, most=0.65),
    *_rows(
        "exclusive or of two words", partial(words, between=0, steps=60_000, openings=2), traces=(0.9, 0.97), start=0.7
    ),
    _rows("exclusive or, 3 words between", partial(words, between=3, steps=90_000, openings=2), start=0.7)[0],
)
