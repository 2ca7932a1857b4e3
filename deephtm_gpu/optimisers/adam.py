"""Optimisers that scale every parameter's step by how large its gradients are."""

from math import log

from deephtm_gpu.arguments import is_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.optimisers.base import Optimizer, check_rate, check_share


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2; theta -= lr * g / (sqrt(v) + eps), as in PyTorch (Tieleman & Hinton 2012).

    Lazy on sparse parameters. clip_norm, schedule: see `dh.SGD`.
    """

    def __init__(self, lr=0.01, alpha=0.99, eps=1e-8, clip_norm=None, schedule=None):
        super().__init__(lr, clip_norm, schedule)
        self.alpha, self.eps = _check_beta("RMSprop's alpha", alpha), check_rate("RMSprop's eps", eps)

    def _rule(self):
        return {"beta2": self.alpha, "epsilon": self.eps}


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; theta -= lr * m' / (sqrt(v') + eps), m' and v' corrected for their start
    at 0 (Kingma & Ba 2015).

    Lazy on sparse parameters: m, v and theta stand still where a step does not touch them, and the correction goes by the
    row's own count of updates. clip_norm, schedule: see `dh.SGD`.
    """

    def __init__(self, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, clip_norm=None, schedule=None):
        super().__init__(lr, clip_norm, schedule)
        name = type(self).__name__
        if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
            raise UserError(f"{name}'s betas = {betas!r} was asked for; give two numbers, such as (0.9, 0.999).")
        self.betas = check_share(f"{name}'s first beta", betas[0]), _check_beta(f"{name}'s second beta", betas[1])
        self.eps = check_rate(f"{name}'s eps", eps)

    def _rule(self):
        beta1, beta2 = self.betas
        return {"beta1": beta1, "beta2": beta2, "log1": log(beta1) if beta1 else 0.0, "log2": log(beta2), "epsilon": self.eps}


class AdamW(Adam):
    """Adam, and theta *= 1 - lr * weight_decay beside it (Loshchilov & Hutter 2019). On sparse parameters only what a step
    touches decays."""

    def __init__(self, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8, clip_norm=None, schedule=None):
        super().__init__(lr, betas, eps, clip_norm, schedule)
        if not (is_number(weight_decay) and weight_decay >= 0):
            raise UserError(f"AdamW's weight_decay = {weight_decay!r} was asked for; it must be a number, 0 or more.")
        self.weight_decay = float(weight_decay)

    def _rule(self):
        return super()._rule() | {"decay": self.weight_decay}


def _check_beta(what, value):
    """The rate of the squares' mean: with 0 there would be none."""
    if check_share(what, value) == 0:
        raise UserError(f"{what} = {value!r} was asked for; it must be above 0, and below 1.")
    return float(value)
