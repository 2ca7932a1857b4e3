"""Stochastic gradient descent, with or without momentum."""

from collections.abc import Sequence

from deephtm_gpu.optimisers.base import Optimizer, check_share
from deephtm_gpu.optimisers.schedules import Schedule


class SGD(Optimizer):
    """Stochastic gradient descent: θ ← θ − lr · g; with momentum m: v ← m · v + g, θ ← θ − lr · v, as in PyTorch.

    Parameters
    ----------
    lr : float or sequence of float
        The learning rate, above 0. A list of P rates gives the P models of a `dh.Population` one each.
    momentum : float, default 0.0
        How much of the last step goes into the next, 0 or more and below 1.
    clip_norm : float, optional
        The longest that a stream's gradient over all parameters may be; a longer one is shortened to it. Default: no
        limit.
    schedule : Constant, Cosine or InverseDecay, optional
        How lr changes while a model learns. Default: `Constant()`.

    average : float, optional
        Keeps a mean of all weights over about this share of the latest updates, for `predict(averaged=True)`; above 0,
        at most 1. Default: none.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    Lazy on sparse parameters, such as the rows of columns and cells: only what a step touches moves, and its momentum
    with it.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.SGD(0.01, momentum=0.9).lr
    0.01
    """

    def __init__(self, lr: float | Sequence[float], momentum: float = 0.0, clip_norm: float | None = None,
                 schedule: Schedule | None = None,
                 average: float | None = None) -> None:
        super().__init__(lr, clip_norm, schedule, average)
        self.momentum = check_share("SGD's momentum", momentum)

    def _rule(self):
        return {"beta1": self.momentum}
