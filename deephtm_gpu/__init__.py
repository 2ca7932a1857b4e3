"""deephtm_gpu: Hierarchical Temporal Memory trained by back-propagation, online, on any GPU.

    import deephtm_gpu as dh
    model = dh.Model(dh.Sequential(...), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD())
    history = model.fit(series)
"""

from deephtm_gpu import layers, losses, optimisers
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.callbacks import LogTo, SaveEvery, StopWhen
from deephtm_gpu.errors import DeviceError, TrainingError, UserError
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.layers import *  # noqa: F403  a new layer is public when its own package names it
from deephtm_gpu.losses import *  # noqa: F403
from deephtm_gpu.model import Model
from deephtm_gpu.novelty import Novelty
from deephtm_gpu.optimisers import *  # noqa: F403
from deephtm_gpu.population import Population
from deephtm_gpu.saving.loading import load
from deephtm_gpu.sensorimotor import SensorimotorColumn

__version__ = "0.1.0"

__all__ = [
    "AnomalyLikelihood", "DeviceError", "History", "LogTo", "Model", "Novelty", "Population", "SaveEvery",
    "SensorimotorColumn", "StepResult", "StopWhen", "TrainingError", "UserError", "load",
]
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimisers.__all__


def __getattr__(name: str):
    """`dh.data` is imported when it is asked for: it stands above the core, and takes time."""
    if name == "data":
        from importlib import import_module

        return import_module("deephtm_gpu.data")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
