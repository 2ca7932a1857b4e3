"""The live view: what a model predicts and how its memory lights up, step by step, in a window or as a picture."""

from deephtm_gpu.view.live.series_show import SeriesShow
from deephtm_gpu.view.live.symbol_show import SymbolShow

__all__ = ["SeriesShow", "SymbolShow"]
