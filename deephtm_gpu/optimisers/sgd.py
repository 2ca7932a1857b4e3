"""Stochastic gradient descent, with or without momentum."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.layers.base import is_number
from deephtm_gpu.optimisers.base import Optimizer, check_rate, lower_squares, ones


class SGD(Optimizer):
    """theta -= lr * g, or with momentum m: v = m v + g; theta -= lr * v, as in PyTorch.

    The momentum of sparse parameters (rows of losing columns, synapses outside the context) stands still until they are
    touched again: a step costs what its winners cost. clip_norm: the longest that a stream's gradient over all parameters may
    be; what is longer is shortened to it.
    """

    def __init__(self, lr, momentum=0.0, clip_norm=None):
        self.lr = check_rate("SGD's lr", lr)
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise UserError(f"SGD's momentum = {momentum!r} was asked for; it must be 0 or more, and below 1.")
        self.momentum = float(momentum)
        self.clip_norm = None if clip_norm is None else check_rate("SGD's clip_norm", clip_norm)

    def lower(self, lowering):
        coef = ones(lowering) if self.clip_norm is None else self._clip(lowering)
        self._emit_updates(lowering, coef)

    def _clip(self, lowering):
        gradients = [(*square, 1.0, u.layer) for u in lowering.updates for square in u.squares]
        return lower_squares(lowering, gradients, "clip_forward", longest=self.clip_norm)
