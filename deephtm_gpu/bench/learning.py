"""How well it learns: the rows of the model's table on the sine, with trivial baselines and the control without memory."""

from dataclasses import dataclass

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine
from deephtm_gpu.learner import Learner

STEPS, LAST = 10_000, 300
JUMP = np.pi / 2  # where the sine is as far from its course as it can be without turning round
BEFORE = 1000  # steps before the jump that make the base


@dataclass(frozen=True)
class Row:
    """A row of the table. mean, each: the most that the mean and every single seed may have; least: the least, for a control."""

    name: str
    winners: int
    period: float
    gate: str = "entmax"
    mean: float | None = None
    each: float | None = None
    least: float | None = None


ROWS = (
    Row("sine, K = 10", 10, 50.0, mean=0.003, each=0.005),
    Row("sine, K = 5", 5, 50.0, mean=0.006, each=0.010),
    Row("sine, period 47.3137, K = 10", 10, 47.3137, each=0.010),
    Row("control: gates uniform, no memory", 10, 50.0, gate="uniform", least=0.085),
)


def sine_rmse(row: Row, seed: int, device: str) -> float:
    """The RMSE of the last 300 of 10,000 online steps."""
    series = sine(STEPS, row.period)
    prediction = post_model(row.winners, row.gate, seed, device).fit(series).prediction
    return float(np.sqrt(np.mean((prediction[-LAST - 1:-1] - series[-LAST:]) ** 2)))


def holds(row: Row, errors: list[float]) -> bool:
    """Whether the seeds' errors keep to the row's bounds."""
    return ((row.mean is None or np.mean(errors) <= row.mean) and (row.each is None or max(errors) <= row.each)
            and (row.least is None or min(errors) >= row.least))


def baselines(row: Row) -> dict[str, float]:
    """What trivial predictors reach."""
    return {"memoryless floor": memoryless_floor(row.period), "persistence": persistence_rmse(row.period)}


@dataclass(frozen=True)
class Jump:
    """The anomaly score at a phase jump. base: its mean over the BEFORE steps before; z: how many standard deviations of
    these the jump stands above them."""

    base: float
    at_jump: float
    z: float

    def holds(self) -> bool:
        return self.base <= 0.05 and self.at_jump >= 0.9 and self.z >= 15


def phase_jump(seed: int, device: str) -> Jump:
    """A sine of period 50 learned for 10,000 steps, then a quarter of a period left out."""
    scores = post_model(10, seed=seed, device=device).fit(sine(STEPS + 5, jump_at=STEPS, jump=JUMP)).anomaly
    before = scores[STEPS - BEFORE:STEPS].astype(np.float64)
    return Jump(float(before.mean()), float(scores[STEPS]), float((scores[STEPS] - before.mean()) / before.std()))


TAXI_AHEAD, TAXI_MOST = 5, 11.0  # half-hours ahead; the most per cent that the late MAPE may have


def taxi(path: str, seed: int, device: str, optimizer=None):
    """The New York taxi series `path`, 5 half-hours ahead, strictly online, with the table's settings: SGD 0.01, encoder and
    pooler x 0.1, K = 20. Returns the `Comparison` with the trivial forecasts; its late errors are over rows 5,000 on."""
    learner = Learner(TAXI_AHEAD, timed=True, optimizer=optimizer or dh.SGD(0.01), seed=seed, device=device)
    with CsvStream(path, "value", "timestamp") as stream:
        for rows in stream.chunks():
            learner.learn(rows)
    return learner.comparison
