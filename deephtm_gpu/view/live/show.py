"""A show: a model, the stream it learns, and what the live picture tells of it."""

import re

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.ring import Fields, Ring


class Show:
    """What the two kinds of shows share. Each has `spec`, a Spec; `total`, steps of its stream; and `_learn(begin, end)`, which learns
    them and returns (the History, the fields of its own as arrays).

    model: has to have a SpatialPooler and a TemporalMemory; the first of each is watched."""

    def __init__(self, model, total):
        if model.streams > 1:
            raise UserError(f"A show of a model with {model.streams} streams was asked for; it watches one: give streams=1.")
        self.model, self.total, self.done = model, total, 0
        model.observe()
        kinds = {layer.kind: layer for layer in reversed(model.layers())}
        if not {"SpatialPooler", "TemporalMemory"} <= kinds.keys():
            raise UserError("A show watches columns and cells; give a model with a SpatialPooler and a TemporalMemory.")
        self._pooler, self._memory = kinds["SpatialPooler"].name, kinds["TemporalMemory"].name
        self.columns, self.cells = kinds["TemporalMemory"].output_shape
        self.winners = int(re.search(r"winners=(\d+)", kinds["SpatialPooler"].repr)[1])  # a summary keeps no more than what repr shows

    def fields(self, **own) -> Fields:
        K, M = self.winners, self.cells
        return Fields.of(**own, error=1, anomaly=1, winners=K, predicted=K, cells=K * M, alike=K)

    def ring(self) -> Ring:
        self.blocks = np.zeros((len(self.spec.blocks), self.winners, self.cells), np.float32)  # what stands beside; the ring's own memory
        return Ring(self._fields, self.spec.steps, self.blocks)

    def advance(self, steps, ring: Ring) -> int:
        """Learns so many more steps, or as many as there are, and puts them into the ring. Returns how many."""
        begin, end = self.done, min(self.done + steps, self.total)
        if begin == end:
            return 0
        history, own = self._learn(begin, end)
        observed = history.observed[self._pooler] | history.observed[self._memory]
        # In the order of their columns, so that the same winners stand at the same height.
        order = np.argsort(observed["winners"], axis=1)  # (n, K)
        sort = {name: np.take_along_axis(array, order if array.ndim == 2 else order[:, :, None], axis=1) for name, array in observed.items()}
        total = sort["cells"].sum(axis=2, keepdims=True)
        sort["cells"] = sort["cells"] / np.where(total > 0, total, 1)  # (n, K, M), each cell's share of its column's activity
        most = sort["cells"].max(axis=2)
        alike = sort["cells"].min(axis=2) / np.where(most > 0, most, 1)  # (n, K), 1 where a column bursts
        ring.push(self._fields.pack(end - begin, **own, anomaly=history.anomaly, **sort, alike=alike))
        self._beside(begin, sort["cells"])
        self.done = end
        return end - begin

    def reset(self):
        """Forgets the temporal state, and what was predicted from it."""
        self.model.reset()

    def _beside(self, begin, cells):
        """May fill the blocks: cells (n, K, M), their shares, of the steps from `begin` on."""
