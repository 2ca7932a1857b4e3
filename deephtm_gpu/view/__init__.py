"""Pictures of networks and of what they learned (matplotlib, drawn off screen)."""

from deephtm_gpu.view.files import save_figure, write_whole
from deephtm_gpu.view.live import SeriesShow, SymbolShow
from deephtm_gpu.view.prediction import prediction_figure
from deephtm_gpu.view.scores import LAST, errors, rmse_after
from deephtm_gpu.view.structure import structure_figure, structure_rows

__all__ = [
    "LAST", "SeriesShow", "SymbolShow", "errors", "prediction_figure", "rmse_after", "save_figure", "structure_figure", "structure_rows", "write_whole",
]
