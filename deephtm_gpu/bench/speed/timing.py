"""Interleaved timing: the speed of a machine drifts, so the cases that are compared take turns."""

import time
from dataclasses import dataclass, field

import numpy as np

ROUNDS, SECONDS = 5, 0.5  # runs of each case, and the shortest time of a run
MAX_STEPS = 20_000  # of a run


@dataclass
class Timed:
    """name: of the case. runs: steps/s of each run (of all streams or models together). first: seconds from nothing to
    the result of the first step. steps: of a run."""

    name: str
    first: float
    steps: int
    runs: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return float(np.median(self.runs))


def interleave(cases, rounds=ROUNDS, seconds=SECONDS, most_steps=MAX_STEPS) -> list[tuple]:
    """Opens and warms up each case, then runs all in turn, `rounds` times. Returns (Case, Opened, Timed) for each."""
    ready = []
    for case in cases:
        began = time.perf_counter()
        opened = case.open()
        opened.run(1)
        timed = Timed(case.name, time.perf_counter() - began, 0)
        timed.steps = _steps_of_a_run(opened, seconds, most_steps)
        ready.append((case, opened, timed))
    for _ in range(rounds):
        for _, opened, timed in ready:
            timed.runs.append(timed.steps * opened.width / seconds_of(opened, timed.steps))
    return ready


def seconds_of(opened, steps) -> float:
    began = time.perf_counter()
    opened.run(steps)
    return time.perf_counter() - began


def _steps_of_a_run(opened, seconds, most) -> int:
    """So many that a run takes about that long. This also warms the case up."""
    for _ in range(2):
        opened.run(2)  # compiles everything, so that compilation is not timed
    steps = 8
    while True:
        took = seconds_of(opened, steps)
        if took >= seconds or steps >= most:
            return steps
        steps = min(
            most, max(2 * steps, int(1.2 * steps * seconds / max(took, 1e-6))) if took > seconds / 8 else 4 * steps
        )
