"""Half the squared error."""

from deephtm_gpu.losses.base import Loss, LossTensors


class MSE(Loss):
    """Half the squared error, summed over an output's numbers: ½ Σ (y − target)².

    Parameters
    ----------
    None. The string "mse" is the same.

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

    def lower(self, low, t: LossTensors) -> None:
        D = t.y.size
        low.forward("copy_forward", x=t.y, y=t.prediction, D=D)
        low.learn("mse_forward", y=t.y, target=t.target, loss=t.loss, D=D)
        low.learn("mse_backward", y=t.y, target=t.target, dy=t.dy, D=D)
