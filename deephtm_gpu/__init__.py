"""deephtm_gpu: Hierarchical Temporal Memory trained by back-propagation, online, on any GPU.

    import deephtm_gpu as dh
    model = dh.Model(dh.Sequential(...), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD())
    history = model.fit(series)
"""

from deephtm_gpu.callbacks import LogTo, SaveEvery, StopWhen
from deephtm_gpu.errors import DeviceError, TrainingError, UserError
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.layers import (
    Add,
    Concat,
    Every,
    Evidence,
    Expectation,
    Flatten,
    GridCells,
    Input,
    Linear,
    Network,
    ReLU,
    RunningNorm,
    Sequential,
    SpatialPooler,
    Surprise,
    TemporalMemory,
    Trace,
    When,
    every,
    previous,
    when,
)
from deephtm_gpu.losses import BCE, MSE, CrossEntropy
from deephtm_gpu.model import Model
from deephtm_gpu.optimisers import SGD, Adam, AdamW, Constant, Cosine, InverseDecay, PolyakSGD, RMSprop
from deephtm_gpu.population import Population
from deephtm_gpu.saving.loading import load
from deephtm_gpu.sensorimotor import SensorimotorColumn

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AdamW",
    "Add",
    "BCE",
    "Concat",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "DeviceError",
    "Every",
    "Evidence",
    "Expectation",
    "Flatten",
    "GridCells",
    "History",
    "Input",
    "InverseDecay",
    "Linear",
    "LogTo",
    "MSE",
    "Model",
    "Network",
    "PolyakSGD",
    "Population",
    "RMSprop",
    "ReLU",
    "RunningNorm",
    "SGD",
    "SaveEvery",
    "SensorimotorColumn",
    "Sequential",
    "SpatialPooler",
    "StepResult",
    "StopWhen",
    "Surprise",
    "TemporalMemory",
    "Trace",
    "TrainingError",
    "UserError",
    "When",
    "every",
    "load",
    "previous",
    "when",
]
