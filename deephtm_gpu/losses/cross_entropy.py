"""Cross-entropy of classes that exclude each other."""

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.losses.base import Loss, first_step


class CrossEntropy(Loss):
    """Cross-entropy of a softmax: −Σ target · log p, p = softmax(y). For classes that exclude each other, such as
    symbols.

    `loss="cross_entropy"` is the same.

    Notes
    -----
    Targets are one-hot rows or probabilities that sum to 1, (steps, classes), or class numbers, int (steps,). The
    prediction is p, which sums to 1. The gradient into y is p − target.

    1 − Σ p · target is the surprise of what arrived. It clocks the slow context of the temporal memories, where their
    `clock` does not say otherwise (see `dh.TemporalMemory`). Of several outputs with a cross-entropy the first one's
    counts.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> net = dh.Sequential(dh.Linear(3))
    >>> model = dh.Model(net, (2,), loss=dh.CrossEntropy(), optimizer=dh.SGD(0.5), device="numpy")
    >>> history = model.fit(np.eye(2, dtype=np.float32), targets=np.array([2, 0]))  # class numbers
    >>> history.prediction.shape
    (2, 3)
    """

    name = "cross_entropy"
    takes_classes = True
    gives_surprise = True

    def activate(self, low, y):
        probability = low.tape("probability", y.shape)
        low.forward("softmax_forward", y=y, probability=probability, D=y.size)
        return probability

    def forward(self, low, prediction, target, loss):
        low.learn(
            "cross_entropy_forward", learning=False, probability=prediction, target=target, loss=loss, D=prediction.size
        )

    def backward(self, low, prediction, target, dy):
        low.learn("cross_entropy_backward", probability=prediction, target=target, dy=dy, D=prediction.size)

    def check_targets(self, name: str, series: np.ndarray, active: np.ndarray, sites: int = 1) -> None:
        sums = series.reshape(*series.shape[:2], -1, sites).sum(axis=2)  # (T, S, X)
        step = first_step((series < 0).any(axis=2) | (abs(sums - 1) > 1e-3).any(axis=2), active)
        if step is not None:
            raise UserError(
                f"{name} are targets of a cross-entropy, and at step {step} they are no distribution: give one-hot "
                "rows, rows of probabilities that sum to 1, or class numbers as targets."
            )
