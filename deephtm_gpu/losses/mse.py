"""Half the squared error."""

from math import inf

from deephtm_gpu.losses.base import Loss


class MSE(Loss):
    """Half the squared error, summed over an output's numbers: ½ Σ (y − target)².

    `loss="mse"` is the same.

    Notes
    -----
    Targets may be any finite numbers, (steps, \\*shape). The prediction is y itself. The gradient into y is y − target.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(1)), (1,), loss=dh.MSE(), optimizer=dh.SGD(0.1), device="numpy")
    >>> float(model.fit(np.ones((100, 1), np.float32)).loss[-2]) < 1e-6
    True
    """

    name = "mse"

    def forward(self, low, prediction, target, loss):
        low.learn("mse_forward", learning=False, y=prediction, target=target, loss=loss, D=prediction.size)

    def backward(self, low, prediction, target, dy):
        extent = low.state("extent", (2,), within=(0, inf))  # how large errors have been: see ops/outlier.py
        low.learn("mse_backward", y=prediction, target=target, extent=extent, dy=dy, D=prediction.size)
