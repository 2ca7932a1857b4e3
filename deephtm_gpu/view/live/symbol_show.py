"""A show of a stream of symbols."""

import numpy as np

from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.model_show import ModelShow
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Classes, Line

ERROR = "1 − probability of the right ending, last time it was asked"


class SymbolShow(ModelShow):
    """model learns a `data.symbols.SymbolTask`: what comes next, as a probability of each class.

    learn: for a model of more inputs or outputs than the task's: learn(begin, end) learns these steps and returns (what was predicted at
    each for the next, (n, classes); the History). names: of the classes, if not the task's. lines: the trivial predictors' error by
    name. error: title of that track. levels: as of a ModelShow. spec: whatever else of a Spec.

    watched: for each block beside, the names of the letters that have just come, the newest last, and a title: it shows the newest
    letter's cells in the first level, (M, K), of the last time that they came."""

    def __init__(self, model, task, title, names=None, lines=None, watched=(), learn=None, error=ERROR, levels=(), **spec):
        super().__init__(model, len(task.inputs), levels)
        self.task, self.names = task, tuple(names or task.names)
        self._told = learn or self._fit
        self._last = np.full((1, task.classes), np.nan, np.float32)  # what was predicted for the next step
        self.prediction = np.full((self.total, task.classes), np.nan, np.float32)  # (T, classes), made at each step for the next
        self.anomaly = np.full(self.total, np.nan, np.float32)
        asked = np.zeros(self.total + 1, bool)
        asked[task.queries + 1] = True  # the steps at which what was asked comes
        self._asked, self._error = asked, np.nan
        self._watched = [tuple(self.names.index(name) for name in block[:-1]) for block in watched]
        first = self.levels[0]
        each = 0.155 if len(self.levels) == 1 else 0.24  # of a class: with more levels there are more tracks to share the height with
        tracks = Classes(self.names, weight=max(2.55, each * task.classes)), Line("error", error, (0, 1.05), log=False, lines=lines or {}), *self.memory_tracks()
        self.spec = Spec(title, tracks, tuple(Block(block[-1], first.winners, first.cells, square=False) for block in watched), **spec)

    def right(self):
        """(Q,) bool: whether each query so far was predicted right."""
        done = self.task.queries < self.done
        return self.task.hits(np.where(done, np.nan_to_num(self.prediction[self.task.queries]).argmax(axis=1), 0))[done]

    def shared(self, first, second) -> float:
        """The part of the cells' activity that two blocks have in common, 0 to 1."""
        return float(np.minimum(self.blocks[first], self.blocks[second]).sum() / self.levels[0].winners)

    def reset(self):
        super().reset()
        self._last[:] = np.nan

    def _fit(self, begin, end):
        history = self.model.fit(self.task.inputs[begin:end], self.task.targets[begin:end])
        return history.prediction, history

    def _learn(self, begin, end):
        made, history = self._told(begin, end)
        self.prediction[begin:end], self.anomaly[begin:end] = made, history.anomaly
        expected = np.concatenate([self._last, self.prediction[begin : end - 1]])  # (n, classes), of each step
        self._last = self.prediction[end - 1 : end].copy()
        came = self.task.symbols[begin:end]  # (n,)
        error = np.empty(end - begin, np.float32)
        for n, t in enumerate(range(begin, end)):  # held from one query to the next
            if self._asked[t]:
                self._error = 1 - expected[n, came[n]]
            error[n] = self._error
        fields, cells = self.memory_fields(history)
        self._beside(begin, cells)
        return {"truth": came, "probability": expected, "error": error} | fields

    def _beside(self, begin, cells):
        """Fills the blocks. cells: of each level, (n, K, M), their shares, of the steps from `begin` on."""
        came = self.task.symbols
        for block, pattern in zip(self.blocks, self._watched):
            for n in reversed(range(len(cells[0]))):
                t = begin + n
                if t + 1 >= len(pattern) and tuple(came[t + 1 - len(pattern) : t + 1]) == pattern:
                    block[:] = cells[0][n].T
                    break
