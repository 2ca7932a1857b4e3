"""Forecasts without a network, and the online mixture of them with a network's: never much worse than the best."""

from deephtm_gpu.forecast.experts import Drift, Expert, Persistence
from deephtm_gpu.forecast.least_squares import LeastSquares
from deephtm_gpu.forecast.mixture import Mixture
from deephtm_gpu.forecast.slots import SameSlot

__all__ = ["Drift", "Expert", "LeastSquares", "Mixture", "Persistence", "SameSlot"]
