"""The live view: a model's predictions and the activity of its memory, step by step, in a window or as a picture.

A Show has a Spec, the parts of its picture: tracks over time (view/live/tracks), and blocks at the side.
"""

from deephtm_gpu.view.live.block import MARK, Block
from deephtm_gpu.view.live.images_show import ImagesShow
from deephtm_gpu.view.live.objects_show import ObjectsShow
from deephtm_gpu.view.live.series_show import SeriesShow
from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.symbol_show import SymbolShow

__all__ = ["MARK", "Block", "ImagesShow", "ObjectsShow", "SeriesShow", "Show", "Spec", "SymbolShow"]
