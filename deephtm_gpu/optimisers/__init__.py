"""Optimisers."""

from deephtm_gpu.optimisers.polyak import PolyakSGD
from deephtm_gpu.optimisers.sgd import SGD

__all__ = ["SGD", "PolyakSGD"]
