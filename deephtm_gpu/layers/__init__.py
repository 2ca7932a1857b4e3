"""Layers: what people compose a network from."""

from deephtm_gpu.graph.networks import Network, Sequential
from deephtm_gpu.graph.nodes import Input, previous
from deephtm_gpu.layers.clock import Every, Surprise, Trace, When, every, when
from deephtm_gpu.layers.combine import Add, Concat
from deephtm_gpu.layers.convolution import Conv2d, ConvTranspose2d, WithOnes
from deephtm_gpu.layers.expectation import Evidence, Expectation
from deephtm_gpu.layers.grid_cells import GridCells
from deephtm_gpu.layers.simple import Flatten, Linear, ReLU, RunningNorm
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory

__all__ = [
    "Add", "Concat", "Conv2d", "ConvTranspose2d", "Every", "Evidence", "Expectation", "Flatten", "GridCells", "Input",
    "Linear", "Network", "ReLU", "RunningNorm", "Sequential", "SpatialPooler", "Surprise", "TemporalMemory", "Trace",
    "When", "WithOnes", "every", "previous", "when",
]
