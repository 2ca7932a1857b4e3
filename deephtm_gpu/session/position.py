"""Where a model stands in its series: counts, and the predictions that wait to be learned from."""

from dataclasses import dataclass, replace

import numpy as np

from deephtm_gpu.backends.batch import Outputs


@dataclass(frozen=True)
class Pending:
    """A prediction that is still to be learned from. step: the number of the step that made it. due: of the step in
    which its target arrives. target: what arrived, one (S, D) per input (or, where `given`, per output); None before
    that."""

    step: int
    due: int
    target: tuple[np.ndarray, ...] | None = None
    given: bool = False


@dataclass(frozen=True)
class Position:
    """Immutable: a run replaces it as a whole when it is done, so an interruption never leaves half of one.

    steps: run since the model was made. updates: made by the optimiser, which schedules count. ahead: how many steps
    ahead the newest prediction is for; 0 where targets are given. began: the number of the first step since the last
    reset. pending: oldest first; they are learned from in this order. learned: one more than the number of the step
    that was learned from last; None where none was since the last reset. active (S,): which streams are active, S
    counting the streams of all models. last: what the last step gave.
    horizon: `ahead` as of the last step without a target.
    """

    active: np.ndarray
    ahead: int
    steps: int = 0
    updates: int = 0
    began: int = 0
    pending: tuple[Pending, ...] = ()
    learned: int | None = None
    last: Outputs | None = None
    horizon: int = 1

    @property
    def next_learned(self) -> int:
        """The number of the step to be learned from next, if nothing is left out."""
        return self.pending[0].step if self.pending else self.steps

    def oldest(self) -> int:
        """How many steps lie between the next one and the oldest prediction that waits."""
        return self.steps - self.pending[0].step if self.pending else 0

    def after_reset(self) -> "Position":
        return replace(self, began=self.steps, pending=(), learned=None, last=None, active=np.ones_like(self.active))

    def of_models(self, numbers: list[int]) -> "Position":
        """That of some models of one stream each."""
        pending = tuple(
            p if p.target is None else replace(p, target=tuple(x[numbers] for x in p.target)) for p in self.pending
        )
        return replace(
            self, active=self.active[numbers], pending=pending, last=self.last and self.last.of_models(numbers)
        )
