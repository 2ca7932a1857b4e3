"""Losses: how far an output is from its target. A new one is a file here and a line in `LOSSES` of `table.py`."""

from deephtm_gpu.losses.bce import BCE
from deephtm_gpu.losses.cross_entropy import CrossEntropy
from deephtm_gpu.losses.mse import MSE

__all__ = ["BCE", "CrossEntropy", "MSE"]
