"""What a backend takes and gives: a chunk of rows."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class Rows:
    """Rows to run. inputs, targets: one array (rows, S, D) per input and output (targets: None where the inputs are the
    targets). rates (rows,). first: the number of the first step since the model was made. pending: how many steps on the
    tape still wait for their target. learn: False in `predict`."""

    inputs: list[np.ndarray]
    targets: list[np.ndarray] | None
    rates: np.ndarray
    first: int
    pending: int
    learn: bool = True

    def __len__(self):
        return len(self.rates)

    def copy(self) -> "Rows":
        """The same rows on memory of their own."""
        return replace(self, inputs=[x.copy() for x in self.inputs], targets=self.targets and [x.copy() for x in self.targets])

    def part(self, begin: int, end: int, ahead: int) -> "Rows":
        """Rows begin..end, as they stand when those before have been run."""
        cut = slice(begin, end)
        return Rows([x[cut] for x in self.inputs], self.targets and [x[cut] for x in self.targets], self.rates[cut],
                    self.first + begin, min(self.pending + begin, ahead), self.learn)


@dataclass
class Told:
    """What the rows gave. predictions: one (rows, S, D) per output; losses: one (rows, S) per output, of the predictions
    that row's target belonged to, NaN where there were none; anomaly (rows, S), NaN without a memory."""

    predictions: list[np.ndarray]
    losses: list[np.ndarray]
    anomaly: np.ndarray

    def last(self) -> "Told":
        """The last row alone."""
        return Told([p[-1:] for p in self.predictions], [x[-1:] for x in self.losses], self.anomaly[-1:])

    @classmethod
    def empty(cls, plan, rows: int) -> "Told":
        S = plan.streams
        return cls([np.zeros((rows, S, p.size), np.float32) for p in plan.predictions],
                   [np.full((rows, S), np.nan, np.float32) for _ in plan.losses],
                   np.full((rows, S), np.nan, np.float32))
