"""What a loss is to the rest of the engine."""

from typing import Any

import numpy as np

from deephtm_gpu.plan.tensors import Tensor


class Loss:
    """How far an output is from its target. A subclass has a `name`, and emits the ops that it is made of: low is a
    `plan.scope.Scope`."""

    name = ""  # in Model(loss=...), and in saved files
    takes_classes = False  # whether class numbers may stand for one-hot targets
    # whether its predictions are probabilities of classes: 1 - that of the target clocks the memories
    gives_surprise = False

    def activate(self, low: Any, y: Tensor) -> Tensor:
        """The prediction that users see (D,), from what the output's node gives (D,)."""
        return y

    def forward(self, low: Any, prediction: Tensor, target: Tensor, loss: Tensor) -> None:
        """Emits the pass that writes loss (1,). prediction, target: (D,)."""
        raise NotImplementedError

    def backward(self, low: Any, prediction: Tensor, target: Tensor, dy: Tensor) -> None:
        """Emits the pass that writes dy (D,), the gradient into what was activated."""
        raise NotImplementedError

    def check_targets(self, name: str, series: np.ndarray, active: np.ndarray, sites: int = 1) -> None:
        """Raises UserError where targets do not fit. name: of the argument, for the message. series: (T, S, D), or
        (T, S, D*X) at the X sites of a map. active (T, S): where to look."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def first_step(wrong: np.ndarray, active: np.ndarray) -> int | None:
    """The first step in which an active stream is wrong; None where none is. wrong, active: (T, S)."""
    steps = np.flatnonzero((wrong & active).any(axis=1))
    return int(steps[0]) if len(steps) else None
