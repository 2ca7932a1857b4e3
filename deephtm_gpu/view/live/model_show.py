"""What the shows of a model that learns a stream share."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.levels import levels_of
from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.tracks import Bars


class ModelShow(Show):
    """model: a dh.Model with a SpatialPooler and a TemporalMemory, of one stream. levels: titles of the levels that are watched, in order
    of flow; () for the first alone, without a title."""

    def __init__(self, model, total, levels=()):
        if model.streams > 1:
            raise UserError(f"A show of a model with {model.streams} streams was asked for; it watches one: give streams=1.")
        super().__init__(model, total)
        model.observe()
        self.levels = levels_of(model, tuple(levels))

    def memory_tracks(self):
        """The anomaly score, and of each level the columns and the cells."""
        return Bars(), *(track for level in self.levels for track in level.tracks())

    def memory_fields(self, history):
        """What these show: by field; and the cells of each level, (n, K, M), their shares."""
        fields, cells = {"anomaly": history.anomaly}, []
        for level in self.levels:
            own, shares = level.shown(history.observed)
            fields |= own
            cells.append(shares)
        return fields, cells
