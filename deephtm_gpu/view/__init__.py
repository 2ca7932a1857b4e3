"""Figures of networks and of what they learned (matplotlib, drawn off screen).

In a notebook or a script: `import deephtm_gpu.view as view`, then `view.network_figure(model)`,
`view.raster_figure(history)`, `view.cells_figure(history)`, `view.receptive_fields_figure(model, series)`,
`view.distal_figure(model, cell)`.
"""

from deephtm_gpu.view.dreams import strip_figure
from deephtm_gpu.view.files import save_figure, write_whole
from deephtm_gpu.view.graph import network_figure
from deephtm_gpu.view.live import ImagesShow, ObjectsShow, SeriesShow, SymbolShow
from deephtm_gpu.view.maps import atoms_figure, kernels_figure
from deephtm_gpu.view.prediction import prediction_figure
from deephtm_gpu.view.rasters import cells_figure, raster_figure
from deephtm_gpu.view.scores import LAST, errors, rmse_after
from deephtm_gpu.view.structure import structure_figure, structure_rows
from deephtm_gpu.view.weights import distal_figure, receptive_fields_figure

__all__ = [
    "LAST",
    "ImagesShow",
    "ObjectsShow",
    "SeriesShow",
    "SymbolShow",
    "atoms_figure",
    "cells_figure",
    "distal_figure",
    "errors",
    "kernels_figure",
    "network_figure",
    "prediction_figure",
    "raster_figure",
    "receptive_fields_figure",
    "rmse_after",
    "save_figure",
    "strip_figure",
    "structure_figure",
    "structure_rows",
    "write_whole",
]
