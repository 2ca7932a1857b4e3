"""Optimisers that scale every parameter's step by how large its gradients are."""

from collections.abc import Sequence
from math import log

from deephtm_gpu.arguments import is_number, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.optimisers.base import Optimizer, check_rate, check_share
from deephtm_gpu.optimisers.schedules import Schedule


class RMSprop(Optimizer):
    """RMSprop: v ← α · v + (1 − α) · g², θ ← θ − lr · g / (√v + ε), as in PyTorch.

    Parameters
    ----------
    lr : float or sequence of float, default 0.01
        The learning rate, above 0. A list of P rates gives the P models of a `dh.Population` one each.
    alpha : float, default 0.99
        How much of the mean of squares stays in a step, above 0 and below 1.
    eps : float, default 1e-8
        Added to the root, above 0.
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
    Lazy on sparse parameters: v and θ stand still where a step does not touch them.

    References
    ----------
    Tieleman & Hinton, "Lecture 6.5: RMSProp", Coursera, 2012.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.RMSprop(0.001).alpha
    0.99
    """

    def __init__(self, lr: float | Sequence[float] = 0.01, alpha: float = 0.99, eps: float = 1e-8,
                 clip_norm: float | None = None, schedule: Schedule | None = None,
                 average: float | None = None) -> None:
        super().__init__(lr, clip_norm, schedule, average)
        self.alpha, self.eps = _check_beta("RMSprop's alpha", alpha), check_rate("RMSprop's eps", eps)

    def _rule(self):
        return {"beta2": self.alpha, "epsilon": self.eps}


class Adam(Optimizer):
    """Adam: m ← β₁ · m + (1 − β₁) · g, v ← β₂ · v + (1 − β₂) · g², θ ← θ − lr · m' / (√v' + ε), m' and v' corrected for
    their start at 0.

    Parameters
    ----------
    lr : float or sequence of float, default 1e-3
        The learning rate, above 0. A list of P rates gives the P models of a `dh.Population` one each.
    betas : tuple of float, default (0.9, 0.999)
        β₁, 0 or more and below 1, and β₂, above 0 and below 1.
    eps : float, default 1e-8
        Added to the root, above 0.
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
    Lazy on sparse parameters: m, v and θ stand still where a step does not touch them, and the correction goes by the
    row's own count of updates.

    References
    ----------
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.Adam(1e-3, schedule=dh.InverseDecay(1000)).betas
    (0.9, 0.999)
    """

    def __init__(self, lr: float | Sequence[float] = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 clip_norm: float | None = None, schedule: Schedule | None = None,
                 average: float | None = None) -> None:
        super().__init__(lr, clip_norm, schedule, average)
        name = type(self).__name__
        if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
            raise UserError(f"{name}'s betas must be two numbers, such as (0.9, 0.999), got {shown(betas)}.")
        self.betas = check_share(f"{name}'s first beta", betas[0]), _check_beta(f"{name}'s second beta", betas[1])
        self.eps = check_rate(f"{name}'s eps", eps)

    def _rule(self):
        beta1, beta2 = self.betas
        return {"beta1": beta1, "beta2": beta2, "log1": log(beta1) if beta1 else 0.0, "log2": log(beta2),
                "epsilon": self.eps}


class AdamW(Adam):
    """AdamW: Adam, and θ ← θ · (1 − lr · weight_decay) beside it.

    Parameters
    ----------
    lr : float or sequence of float, default 1e-3
        The learning rate, above 0. A list of P rates gives the P models of a `dh.Population` one each.
    weight_decay : float, default 0.01
        How fast weights decay to 0, 0 or more. On sparse parameters only what a step touches decays.
    betas : tuple of float, default (0.9, 0.999)
        β₁, 0 or more and below 1, and β₂, above 0 and below 1.
    eps : float, default 1e-8
        Added to the root, above 0.
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

    References
    ----------
    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.AdamW(1e-3, weight_decay=0.1).weight_decay
    0.1
    """

    def __init__(self, lr: float | Sequence[float] = 1e-3, weight_decay: float = 0.01,
                 betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, clip_norm: float | None = None, schedule: Schedule | None = None,
                 average: float | None = None) -> None:
        super().__init__(lr, betas, eps, clip_norm, schedule, average)
        if not (is_number(weight_decay) and weight_decay >= 0):
            raise UserError(f"AdamW's weight_decay must be a number, 0 or more, got {shown(weight_decay)}.")
        self.weight_decay = float(weight_decay)

    def _rule(self):
        return super()._rule() | {"decay": self.weight_decay}


def _check_beta(what, value):
    """The rate of the squares' mean: with 0 there would be none."""
    if check_share(what, value) == 0:
        raise UserError(f"{what} must be above 0, and below 1, got {shown(value)}.")
    return float(value)
