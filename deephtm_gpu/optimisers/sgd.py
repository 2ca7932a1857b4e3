"""Stochastic gradient descent, with or without momentum."""

from deephtm_gpu.optimisers.base import Optimizer, check_share


class SGD(Optimizer):
    """theta -= lr * g, or with momentum m: v = m v + g; theta -= lr * v, as in PyTorch.

    clip_norm: the longest that a stream's gradient over all parameters may be; what is longer is shortened to it.
    schedule: how lr changes (`dh.Constant`, `dh.Cosine`, `dh.InverseDecay`).
    """

    def __init__(self, lr, momentum=0.0, clip_norm=None, schedule=None):
        super().__init__(lr, clip_norm, schedule)
        self.momentum = check_share("SGD's momentum", momentum)

    def _rule(self):
        return {"beta1": self.momentum}
