"""Stochastic gradient descent, with or without momentum."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.optimisers.base import Optimizer, check_rate, ones


class SGD(Optimizer):
    """theta -= lr * g, or with momentum m: v = m v + g; theta -= lr * v, as in PyTorch.

    The momentum of sparse parameters (rows of losing columns, synapses outside the context) stands still until they are
    touched again: a step costs what its winners cost.
    """

    def __init__(self, lr, momentum=0.0):
        self.lr = check_rate("SGD's lr", lr)
        if not 0 <= momentum < 1:
            raise UserError(f"SGD's momentum = {momentum!r} was asked for; it must be 0 or more, and below 1.")
        self.momentum = float(momentum)

    def lower(self, lowering):
        self._emit_updates(lowering, ones(lowering))
