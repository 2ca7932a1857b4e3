"""How fast it is: steps per second of the post's network."""

import time
from dataclasses import dataclass

import numpy as np

from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.data.sine import sine

STEPS, RUNS, WARM_UP = 10_000, 5, 1_000


@dataclass(frozen=True)
class Speed:
    """steps/s of each run; first: seconds from making the model to its first prediction; dispatches per step (None: no GPU)."""

    device: str
    kind: str
    runs: list[float]
    first: float
    dispatches: float | None

    @property
    def median(self) -> float:
        return float(np.median(self.runs))


def measure(device: str, steps: int = STEPS, runs: int = RUNS) -> Speed:
    """Times whole fits of a sine, the upload of the series and the reading back included, after a warm-up."""
    began = time.perf_counter()
    model = post_model(device=device)
    model.step([0.0])
    first = time.perf_counter() - began
    model.fit(sine(WARM_UP))
    series, timed = sine(steps), []
    for _ in range(runs):
        began = time.perf_counter()
        model.fit(series)
        timed.append(steps / (time.perf_counter() - began))
    return Speed(model.device.name, model.device.kind, timed, first, model.dispatches)
