"""The kinds of tracks, the panels over time of a live picture: each in a file of its own, with its axis, its layers for
the shader, and the same drawn by matplotlib."""

from deephtm_gpu.view.live.tracks.bars import Bars
from deephtm_gpu.view.live.tracks.base import Track
from deephtm_gpu.view.live.tracks.cells import Cells
from deephtm_gpu.view.live.tracks.classes import Classes
from deephtm_gpu.view.live.tracks.columns import Columns
from deephtm_gpu.view.live.tracks.line import Line
from deephtm_gpu.view.live.tracks.series import Series

__all__ = ["Bars", "Cells", "Classes", "Columns", "Line", "Series", "Track"]
