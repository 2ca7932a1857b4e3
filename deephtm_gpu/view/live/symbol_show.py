"""A show of a stream of symbols."""

import numpy as np

from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.spec import Spec


class SymbolShow(Show):
    """model learns a `data.symbols.SymbolTask`: what comes next, as a probability of each class.

    names: of the classes, if not the task's. watched: for each block beside, the names of the letters that have just come, the newest
    last, and a title: it shows the newest letter's cells (K, M), of the last time that they came. lines: as of a Spec."""

    def __init__(self, model, task, title, names=None, lines=None, watched=(), **spec):
        super().__init__(model, len(task.inputs))
        self.task, self.names = task, tuple(names or task.names)
        self._fields = self.fields(truth=1, probability=task.classes)
        self._last = np.full((1, task.classes), np.nan, np.float32)  # what was predicted for the next step
        self.prediction = np.full((self.total, task.classes), np.nan, np.float32)  # (T, classes), made at each step for the next
        self.anomaly = np.full(self.total, np.nan, np.float32)
        asked = np.zeros(self.total + 1, bool)
        asked[task.queries + 1] = True  # the steps at which what was asked comes
        self._asked, self._error = asked, np.nan
        self._watched = [tuple(self.names.index(name) for name in block[:-1]) for block in watched]
        blocks = tuple(block[-1] for block in watched)
        self.spec = Spec(title, self.columns, self.winners, self.cells, names=self.names, lines=lines or {}, blocks=blocks,
                         **{"error": "1 − probability of the right ending, last time it was asked", "error_limits": (0, 1.05), "error_log": False} | spec)

    def right(self):
        """(Q,) bool: whether each query so far was predicted right."""
        done = self.task.queries < self.done
        return self.task.hits(np.where(done, np.nan_to_num(self.prediction[self.task.queries]).argmax(axis=1), 0))[done]

    def shared(self, first, second) -> float:
        """The part of the cells' activity that two blocks have in common, 0 to 1."""
        return float(np.minimum(self.blocks[first], self.blocks[second]).sum() / max(self.winners, 1))

    def reset(self):
        super().reset()
        self._last[:] = np.nan

    def _learn(self, begin, end):
        history = self.model.fit(self.task.inputs[begin:end], self.task.targets[begin:end])
        self.prediction[begin:end], self.anomaly[begin:end] = history.prediction, history.anomaly
        expected = np.concatenate([self._last, history.prediction[:-1]])  # (n, classes), of each step
        self._last = history.prediction[-1:]
        came = self.task.symbols[begin:end]  # (n,)
        error = np.empty(end - begin, np.float32)
        for n, t in enumerate(range(begin, end)):  # held from one query to the next
            if self._asked[t]:
                self._error = 1 - expected[n, came[n]]
            error[n] = self._error
        return history, {"truth": came, "probability": expected, "error": error}

    def _beside(self, begin, cells):
        came = self.task.symbols
        for block, pattern in zip(self.blocks, self._watched):
            for n in reversed(range(len(cells))):
                t = begin + n
                if t + 1 >= len(pattern) and tuple(came[t + 1 - len(pattern) : t + 1]) == pattern:
                    block[:] = cells[n]
                    break
