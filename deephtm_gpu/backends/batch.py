"""What a backend takes and gives: a batch of steps."""

from dataclasses import dataclass, field, replace

import numpy as np

from deephtm_gpu.plan.plan import Program


@dataclass
class Batch:
    """Steps to run, T of them, all by one program.

    inputs, targets: one array (T, S, D) per input and output (targets: None where none are given); S counts the streams
    of all models. A program without a forward pass reads, in `inputs`, what arrived for the predictions that it scores.
    rates (T,), or (T, P) where every model has its own, updates (T,): the learning rate, and how many updates came
    before. first: the number of the first step since the model was made. behind: how many steps before a step the one
    lies that it scores. waiting: how many steps a prediction that is scored waited for its target. share (T, S, 1):
    what each stream counts for in a mean over them; None where there is one.
    """

    program: Program
    inputs: list[np.ndarray]
    targets: list[np.ndarray] | None
    rates: np.ndarray
    updates: np.ndarray
    first: int
    behind: int = 0
    waiting: int = 1
    share: np.ndarray | None = None

    def __len__(self):
        return len(self.updates)

    def copy(self) -> "Batch":
        """The same steps on memory of their own."""
        return replace(
            self, inputs=[x.copy() for x in self.inputs], targets=self.targets and [x.copy() for x in self.targets]
        )

    def of_models(self, begin: int, end: int) -> "Batch":
        """The same steps for some of the models of one stream each."""
        cut = slice(begin, end)
        return replace(
            self,
            inputs=[x[:, cut] for x in self.inputs],
            targets=self.targets and [x[:, cut] for x in self.targets],
            rates=self.rates[:, cut] if self.rates.ndim == 2 else self.rates,
        )

    def part(self, begin: int, end: int) -> "Batch":
        """Steps begin..end of the batch."""
        cut = slice(begin, end)
        return replace(
            self,
            inputs=[x[cut] for x in self.inputs],
            targets=self.targets and [x[cut] for x in self.targets],
            rates=self.rates[cut],
            updates=self.updates[cut],
            first=self.first + begin,
            share=None if self.share is None else self.share[cut],
        )


def shares(active: np.ndarray) -> np.ndarray:
    """active (T, S), which streams are active -> share (T, S, 1): alike for all of these, summing to 1; 0 for the
    others."""
    return (active / np.maximum(active.sum(axis=1, keepdims=True), 1)).astype(np.float32)[:, :, None]


@dataclass
class Outputs:
    """What a batch of T steps gave. predictions: one (T, S, D) per output; losses: one (T, S) per output, of the
    predictions that were scored, NaN where none was; anomaly (T, S), NaN without a memory; observed: one (T, S, D) per
    tensor of `Plan.observed`. Without a forward pass only the losses mean something."""

    predictions: list[np.ndarray]
    losses: list[np.ndarray]
    anomaly: np.ndarray
    observed: list[np.ndarray] = field(default_factory=list)

    def mute(self, inactive: np.ndarray):
        """Puts NaN where a stream had inactive, inactive (T, S)."""
        for array in [*self.predictions, *self.losses, self.anomaly, *self.observed]:
            array[inactive] = np.nan

    def of_models(self, numbers: list[int]) -> "Outputs":
        """Of some of the models of one stream each."""
        return Outputs(
            *([x[:, numbers] for x in arrays] for arrays in (self.predictions, self.losses)),
            self.anomaly[:, numbers],
            [x[:, numbers] for x in self.observed],
        )

    def last(self) -> "Outputs":
        """The last step alone, without what was observed: a rollout goes on from it."""
        return Outputs(
            [p[-1:].copy() for p in self.predictions], [x[-1:].copy() for x in self.losses], self.anomaly[-1:].copy()
        )

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in [*self.predictions, *self.losses, self.anomaly, *self.observed])

    @classmethod
    def empty(cls, plan, steps: int) -> "Outputs":
        S = plan.units
        return cls([np.zeros((steps, S, p.size), np.float32) for p in plan.predictions],
                   [np.full((steps, S), np.nan, np.float32) for _ in plan.losses],
                   np.full((steps, S), np.nan, np.float32),
                   [np.zeros((steps, S, t.size), np.float32) for t in plan.observed])

    @classmethod
    def joined(cls, parts: list["Outputs"]) -> "Outputs":
        """One behind the other."""
        if len(parts) == 1:
            return parts[0]
        predictions, losses, observed = ([np.concatenate(x) for x in zip(*(getattr(p, what) for p in parts))]
                                         for what in ("predictions", "losses", "observed"))
        return cls(predictions, losses, np.concatenate([p.anomaly for p in parts]), observed)
