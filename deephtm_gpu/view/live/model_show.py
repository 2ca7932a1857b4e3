"""The base of shows of a model that learns a stream."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.levels import levels_of
from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.tracks import Bars


class ModelShow(Show):
    """model: a dh.Model with a SpatialPooler and a TemporalMemory, of one stream. levels: titles of the levels that are
    shown, in the order of flow; () for the first level, without a title."""

    def __init__(self, model, total, levels=()):
        if model.streams > 1:
            raise UserError(f"A show's model must have one stream, got {model.streams}; make it with streams=1.")
        super().__init__(model, total)
        model.observe()
        self.levels = levels_of(model, tuple(levels))

    def memory_tracks(self):
        """Tracks of the anomaly score, and of the columns and the cells of each level."""
        return Bars(), *(track for level in self.levels for track in level.tracks())

    def memory_fields(self, history):
        """Their fields, by name; and the cells of each level, (n, K, M), as shares."""
        fields, cells = {"anomaly": history.anomaly}, []
        for level in self.levels:
            own, shares = level.shown(history.observed)
            fields |= own
            cells.append(shares)
        return fields, cells
