"""Optimisers and schedules."""

from deephtm_gpu.optimisers.adam import Adam, AdamW, RMSprop
from deephtm_gpu.optimisers.polyak import PolyakSGD
from deephtm_gpu.optimisers.schedules import Constant, Cosine, InverseDecay
from deephtm_gpu.optimisers.sgd import SGD

__all__ = ["Adam", "AdamW", "Constant", "Cosine", "InverseDecay", "PolyakSGD", "RMSprop", "SGD"]
