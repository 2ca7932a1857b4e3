"""What a backend takes and gives: a chunk of rows."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass
class Batch:
    """Rows to run. inputs, targets: one array (rows, S, D) per input and output (targets: None where the inputs are the
    targets); S counts the streams of all models. rates (rows,), or (rows, P) where every model has its own, updates (rows,): the
    learning rate, and how many updates came before. first: the number of the first step
    since the model was made. pending: how many steps on the tape still wait for their target. share (rows, S, 1): what each
    stream counts for in a mean over them; None where there is one. learn: False in `predict`. flush: no steps, but turns in
    which the memories' rings run empty (see `Plan.calls`)."""

    inputs: list[np.ndarray]
    targets: list[np.ndarray] | None
    rates: np.ndarray
    updates: np.ndarray
    first: int
    pending: int
    share: np.ndarray | None = None
    learn: bool = True
    flush: bool = False

    def __len__(self):
        return len(self.updates)

    def copy(self) -> "Batch":
        """The same rows on memory of their own."""
        return replace(self, inputs=[x.copy() for x in self.inputs], targets=self.targets and [x.copy() for x in self.targets])

    def waiting(self, ahead: int) -> int:
        """How many rows at the beginning bring no target."""
        if self.flush:
            return 0
        if ahead == 0:
            return 0 if self.targets is not None else len(self)
        return min(max(ahead - self.pending, 0), len(self))

    def of_models(self, begin: int, end: int) -> "Batch":
        """The same rows for some of the models of one stream each."""
        cut = slice(begin, end)
        return replace(self, inputs=[x[:, cut] for x in self.inputs], targets=self.targets and [x[:, cut] for x in self.targets],
                       rates=self.rates[:, cut] if self.rates.ndim == 2 else self.rates)

    def part(self, begin: int, end: int, ahead: int) -> "Batch":
        """Rows begin..end, as they stand when those before have been run."""
        cut = slice(begin, end)
        share = None if self.share is None else self.share[cut]
        return Batch([x[cut] for x in self.inputs], self.targets and [x[cut] for x in self.targets], self.rates[cut],
                    self.updates[cut], self.first + begin, min(self.pending + begin, ahead), share, self.learn, self.flush)


def shares(going: np.ndarray) -> np.ndarray:
    """going (rows, S), whether a stream still runs -> share (rows, S, 1): alike for all that do, summing to 1; 0 for the others."""
    return (going / np.maximum(going.sum(axis=1, keepdims=True), 1)).astype(np.float32)[:, :, None]


@dataclass
class Outputs:
    """What the rows gave. predictions: one (rows, S, D) per output; losses: one (rows, S) per output, of the predictions
    that row's target belonged to, NaN where there were none; anomaly (rows, S), NaN without a memory; observed: one (rows, S, D) per
    tensor of `Plan.observed`."""

    predictions: list[np.ndarray]
    losses: list[np.ndarray]
    anomaly: np.ndarray
    observed: list[np.ndarray] = field(default_factory=list)

    def silence(self, ended: np.ndarray):
        """Puts NaN where a stream had ended, ended (rows, S)."""
        for array in [*self.predictions, *self.losses, self.anomaly, *self.observed]:
            array[ended] = np.nan

    def of_models(self, numbers: list[int]) -> "Outputs":
        """Of some of the models of one stream each."""
        return Outputs(*([x[:, numbers] for x in arrays] for arrays in (self.predictions, self.losses)), self.anomaly[:, numbers],
                    [x[:, numbers] for x in self.observed])

    def last(self) -> "Outputs":
        """The last row alone, without what was observed: a rollout goes on from it."""
        return Outputs([p[-1:] for p in self.predictions], [x[-1:] for x in self.losses], self.anomaly[-1:])

    @classmethod
    def empty(cls, plan, rows: int) -> "Outputs":
        S = plan.units
        return cls([np.zeros((rows, S, p.size), np.float32) for p in plan.predictions],
                   [np.full((rows, S), np.nan, np.float32) for _ in plan.losses],
                   np.full((rows, S), np.nan, np.float32),
                   [np.zeros((rows, S, t.size), np.float32) for t in plan.observed])
