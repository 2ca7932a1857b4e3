"""Layers: what people compose a network from."""

from deephtm_gpu.layers.base import Input, previous
from deephtm_gpu.layers.combine import Add, Concat
from deephtm_gpu.layers.expectation import Evidence, Expectation
from deephtm_gpu.layers.network import Network, Sequential
from deephtm_gpu.layers.simple import Linear, ReLU, RunningNorm
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory

__all__ = [
    "Add", "Concat", "Evidence", "Expectation", "Input", "Linear", "Network", "ReLU", "RunningNorm", "Sequential", "SpatialPooler", "TemporalMemory",
    "previous",
]
