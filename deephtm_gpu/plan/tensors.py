"""A tensor of a plan: a name, a shape, and the storage it lives in. Backends decide where exactly that is."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deephtm_gpu.arguments import LARGEST

MATRIX = "matrix"  # parameters read in rows: weight matrices
PARAM = "param"  # all other parameters: biases, synapses, running means
STATE = "state"  # of one stream, lives on from step to step; reset() puts `start` back
GRADIENT = "gradient"  # of one stream, 0 before and after every step: uses of a parameter add up in it
SCRATCH = "scratch"  # of one stream, overwritten in every step
TAPE = "tape"  # of one stream, written in forward and read by the backward of the same step, which may come steps later
IO = "io"  # of one stream and step of the chunk: inputs, targets, what is reported
STEP = "step"  # one number, the same for all streams: the rate, the step's count

PARAMETERS = (MATRIX, PARAM)
AVERAGED = "average"  # behind a parameter's name: its mean over the last updates


@dataclass(frozen=True, eq=False)
class Tensor:
    """shape: without the streams. sites: of a stream's tensor, at how many positions it stands, with this shape at
    each. ragged: a list whose length varies from step to step, at most shape[0]. index: whole numbers. within: the
    least and the most that a number in it may be. start: what a parameter or a state holds at first: an array, a
    number, or a function of the model's seed that gives one.
    transposed: a matrix held (in, out), shown to the user as (out, in). learned: the optimiser moves it.
    moment: what an optimiser or a layer remembers beside the weights, no weight itself.
    averaged: an optimiser with `average` keeps its mean."""

    name: str
    shape: tuple[int, ...]
    storage: str
    index: bool = False
    ragged: bool = False
    start: Any = 0.0
    transposed: bool = False
    learned: bool = False
    moment: bool = False
    sites: int = 1
    averaged: bool = False
    within: tuple[float, float] = (-math.inf, math.inf)

    @property
    def parameter(self) -> bool:
        """Of a model, not of each of its streams."""
        return self.storage in PARAMETERS

    def fault(self, array: np.ndarray) -> str | None:
        """What it must hold, and these numbers are not, as half a sentence; None where all are within."""
        least, most = self.within
        if not array.size or self.within == Tensor.within or (array.min() >= least and array.max() <= most):
            return None
        bounds = f"{least} or more" if most in (math.inf, LARGEST) else f"from {least} to {most}"
        kind = "indices" if self.index else "numbers"
        return f"hold {kind} {bounds}, got numbers from {array.min()} to {array.max()}"

    def first(self, seed: int):
        """What it holds at first in the model of this seed: an array or a number."""
        start = self.start(seed) if callable(self.start) else self.start
        return list(start) if isinstance(start, range) else start

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n
