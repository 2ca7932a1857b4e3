"""A show of a stream of symbols."""

import numpy as np

from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.model_show import ModelShow
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Classes, Line

ERROR = "1 − probability of the right ending, at the last query"


class SymbolShow(ModelShow):
    """A model that learns a stream of symbols: at each step the probability of each class of the next symbol.

    Parameters
    ----------
    model : dh.Model
        With a SpatialPooler and a TemporalMemory, and one stream.
    task : SymbolTask
        The stream.
    title : str
        Of the picture.
    names : sequence of str, optional
        Of the classes; None for those of the task.
    lines : dict, optional
        The errors of trivial predictors, by name.
    watched : sequence of tuple of str
        For each block at the side: the names of symbols, the newest last, and a title. The block shows the newest
        symbol's cells in the first level, (M, K), of the last time that these symbols came.
    learn : callable, optional
        For a model with other inputs or outputs than the task's: learn(begin, end) learns these steps and returns the
        predictions that were made at each for the next, (n, classes), and the History.
    error : str
        Title of the track of the error.
    levels : sequence of str
        Titles of the levels that are shown, in the order of flow; () for the first level, without a title.
    **spec
        Further arguments of Spec.

    Attributes
    ----------
    prediction : ndarray (T, classes)
        Made at each step for the next.
    anomaly : ndarray (T,)
        The anomaly scores.

    Raises
    ------
    UserError
        If the model has several streams, or no memory after a pooler.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.data.letters import letters
    >>> task = letters(n=1, steps=50)
    >>> net = dh.Sequential(dh.SpatialPooler(columns=16, winners=3), dh.TemporalMemory(3), dh.Linear(task.classes))
    >>> model = dh.Model(net, input_shape=(16,), loss="cross_entropy", device="numpy")
    >>> show = view.SymbolShow(model, task, "Letters")
    >>> show.advance(50, show.ring())
    50
    """

    def __init__(
        self, model, task, title, names=None, lines=None, watched=(), learn=None, error=ERROR, levels=(), **spec
    ):
        super().__init__(model, len(task.inputs), levels)
        self.task, self.names = task, tuple(names or task.names)
        self._learn_steps = learn or self._fit
        self._last = np.full((1, task.classes), np.nan, np.float32)  # the prediction for the next step
        self.prediction = np.full((self.total, task.classes), np.nan, np.float32)  # (T, classes)
        self.anomaly = np.full(self.total, np.nan, np.float32)
        self._answers, self._error = np.zeros(self.total + 1, bool), np.nan
        self._answers[task.queries + 1] = True  # the steps at which the symbol of a query comes
        self._watched = [tuple(self.names.index(name) for name in block[:-1]) for block in watched]
        first = self.levels[0]
        each = 0.155 if len(self.levels) == 1 else 0.24  # the weight of a class, larger if more tracks share the height
        tracks = (Classes(self.names, weight=max(2.55, each * task.classes)),
                  Line("error", error, (0, 1.05), log=False, lines=lines or {}), *self.memory_tracks())
        blocks = tuple(Block(block[-1], first.winners, first.cells, square=False) for block in watched)
        self.spec = Spec(title, tracks, blocks, **spec)

    def right(self) -> np.ndarray:
        """(Q,) bool: whether each query so far was predicted right."""
        done = self.task.queries < self.done
        return self.task.hits(np.where(done, np.nan_to_num(self.prediction[self.task.queries]).argmax(axis=1), 0))[done]

    def shared(self, first: int, second: int) -> float:
        """The part of the cells' activity that two blocks have in common, 0 to 1."""
        return float(np.minimum(self.blocks[first], self.blocks[second]).sum() / self.levels[0].winners)

    def reset(self):
        super().reset()
        self._last[:] = np.nan

    def _fit(self, begin, end):
        history = self.model.fit(self.task.inputs[begin:end], self.task.targets[begin:end])
        return history.prediction, history

    def _learn(self, begin, end):
        predictions, history = self._learn_steps(begin, end)
        self.prediction[begin:end], self.anomaly[begin:end] = predictions, history.anomaly
        expected = np.concatenate([self._last, self.prediction[begin : end - 1]])  # (n, classes), of each step
        self._last = self.prediction[end - 1 : end].copy()
        came = self.task.symbols[begin:end]  # (n,)
        error = np.empty(end - begin, np.float32)
        for n, t in enumerate(range(begin, end)):  # kept from one query to the next
            if self._answers[t]:
                self._error = 1 - expected[n, came[n]]
            error[n] = self._error
        fields, cells = self.memory_fields(history)
        self._fill_blocks(begin, cells)
        return {"truth": came, "probability": expected, "error": error} | fields

    def _fill_blocks(self, begin, cells):
        """cells: of each level, (n, K, M), as shares, of the steps from `begin` on."""
        came = self.task.symbols
        for block, pattern in zip(self.blocks, self._watched):
            for n in reversed(range(len(cells[0]))):
                t = begin + n
                if t + 1 >= len(pattern) and tuple(came[t + 1 - len(pattern) : t + 1]) == pattern:
                    block[:] = cells[0][n].T
                    break
