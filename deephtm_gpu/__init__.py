"""deephtm_gpu: Hierarchical Temporal Memory trained by back-propagation, online, on any GPU.

    import deephtm_gpu as dh
    model = dh.Model(dh.Sequential(...), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD())
    history = model.fit(series)
"""

from deephtm_gpu.errors import DeviceError, TrainingError, UserError
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.layers import (
    Add,
    Concat,
    Evidence,
    Expectation,
    Input,
    Linear,
    Network,
    ReLU,
    RunningNorm,
    Sequential,
    SpatialPooler,
    TemporalMemory,
    previous,
)
from deephtm_gpu.model import Model
from deephtm_gpu.optimisers import SGD, Adam, AdamW, Constant, Cosine, InverseDecay, PolyakSGD, RMSprop
from deephtm_gpu.population import Population
from deephtm_gpu.saving.model import load

__version__ = "0.1.0"

__all__ = [
    "Adam", "AdamW", "Add", "Concat", "Constant", "Cosine", "DeviceError", "Evidence", "Expectation", "History", "Input", "InverseDecay", "Linear", "Model",
    "Network", "PolyakSGD", "Population", "RMSprop", "ReLU", "RunningNorm", "SGD", "Sequential", "SpatialPooler", "StepResult", "TemporalMemory", "TrainingError", "UserError",
    "load", "previous",
]
