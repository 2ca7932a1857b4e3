"""What a loss is to the rest of the engine."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deephtm_gpu.plan.tensors import Tensor


@dataclass(frozen=True)
class LossTensors:
    """The tensors that a loss works on. y (D,): what the output's node gives. target (D,). prediction (D,): what users see.
    loss (1,). dy (D,): the gradient into y. surprise (1,): how unexpected the target was; None where no memory reads it."""

    y: Tensor
    target: Tensor
    prediction: Tensor
    loss: Tensor
    dy: Tensor
    surprise: Tensor | None = None


class Loss:
    """How far an output is from its target. A subclass has a `name`, and says which ops it is (`lower`)."""

    name = ""  # in Model(loss=...), and in saved files
    takes_classes = False  # whether class numbers may stand for one-hot targets
    gives_surprise = False  # whether it says how unexpected a target was: such an output can clock the memories

    def lower(self, low: Any, t: LossTensors) -> None:
        """Emits the calls that write prediction, loss, dy and, where there is one, surprise. low: a `plan.scope.Scope`."""
        raise NotImplementedError

    def check_targets(self, name: str, series: np.ndarray, active: np.ndarray) -> None:
        """Raises UserError where targets do not fit. name: of the argument, for the message. series: (T, S, D).
        active (T, S): where to look."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def first_step(wrong: np.ndarray, active: np.ndarray) -> int | None:
    """The first step in which an active stream is wrong; None where none is. wrong, active: (T, S)."""
    steps = np.flatnonzero((wrong & active).any(axis=1))
    return int(steps[0]) if len(steps) else None
