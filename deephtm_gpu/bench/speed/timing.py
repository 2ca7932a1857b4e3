"""Interleaved timing: a machine's speed drifts, so what is compared takes turns."""

import time
from dataclasses import dataclass, field

import numpy as np

ROUNDS, SECONDS = 5, 0.5  # of each case, and how long a run of it should take at least
MOST_STEPS = 20_000


@dataclass
class Timed:
    """name: of the case. runs: steps/s of each run (of several streams or models: of all together). first: seconds from nothing to the
    first step's result. steps: of a run."""

    name: str
    first: float
    steps: int
    runs: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return float(np.median(self.runs))


def interleave(cases, rounds=ROUNDS, seconds=SECONDS, most_steps=MOST_STEPS) -> list[tuple]:
    """cases: of `cases.Case`. Makes each ready, warms it up, then runs all of them in turn, `rounds` times. Returns (case, what it
    opened, Timed) for each."""
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
    """So many that a run takes about that long. Finding out warms the case up."""
    for _ in range(2):
        opened.run(2)  # everything is compiled: that is not to be taken for steps
    steps = 8
    while True:
        took = seconds_of(opened, steps)
        if took >= seconds or steps >= most:
            return steps
        steps = min(most, max(2 * steps, int(1.2 * steps * seconds / max(took, 1e-6))) if took > seconds / 8 else 4 * steps)
