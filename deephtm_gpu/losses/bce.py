"""Binary cross-entropy of each number by itself."""

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.losses.base import Loss, first_step


class BCE(Loss):
    """Binary cross-entropy, summed over an output's numbers: −Σ (target · log p + (1 − target) · log(1 − p)), p =
    sigmoid(y) of each by itself. For properties of which several may hold at once.

    `loss="bce"` is the same.

    Notes
    -----
    Targets are 0 to 1, (steps, \\*shape). The prediction is p. The gradient into y is p − target.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(2)), (1,), loss=dh.BCE(), optimizer=dh.SGD(0.5), device="numpy")
    >>> history = model.fit(np.ones((60, 1), np.float32), targets=np.tile([1.0, 0.0], (60, 1)))
    >>> history.prediction[-1].round().tolist()
    [1.0, 0.0]
    """

    name = "bce"

    def activate(self, low, y):
        probability = low.tape("probability", y.shape)
        low.forward("sigmoid_forward", y=y, probability=probability, D=y.size)
        return probability

    def forward(self, low, prediction, target, loss):
        low.learn("bce_forward", learning=False, probability=prediction, target=target, loss=loss, D=prediction.size)

    def backward(self, low, prediction, target, dy):
        low.learn("cross_entropy_backward", probability=prediction, target=target, dy=dy, D=prediction.size)

    def check_targets(self, name: str, series: np.ndarray, active: np.ndarray, sites: int = 1) -> None:
        step = first_step(((series < 0) | (series > 1)).any(axis=2), active)
        if step is not None:
            raise UserError(
                f"{name} are targets of a binary cross-entropy, and at step {step} there are some outside 0 to 1; "
                "scale them to that range."
            )
