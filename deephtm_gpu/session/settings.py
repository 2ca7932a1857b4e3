"""What a plan was made from, and whether that was changed since."""

import numpy as np

from deephtm_gpu.arguments import check_scale, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.networks import Network
from deephtm_gpu.optimisers.base import Optimizer


def _same(now, before) -> bool:
    """An array, which would compare number by number, is no setting."""
    return (now is None or isinstance(now, tuple) or np.isscalar(now)) and now == before


class Settings:
    """The arguments of all layers and of the optimiser as they are now."""

    def __init__(self, network: Network, optimizer: Optimizer):
        layers = {id(node.layer): node.layer for node in network.nodes}.values()
        self._layers = [
            (layer, name, value)
            for layer in layers
            for name, value in vars(layer).items()
            if name != "nodes" and name[0] != "_"
        ]
        self._optimizer, self._numbers = optimizer, self._numbers_of(optimizer)

    def changed(self) -> bool:
        """Whether another plan is needed. Raises UserError where a layer was changed in a way that no plan can
        follow."""
        other = False
        for layer, name, value in self._layers:
            now = getattr(layer, name)
            if now is value or _same(now, value):
                continue
            if name != "lr_scale":
                raise UserError(
                    f"{type(layer).__name__}'s {name} must stay {shown(value)} once a model is made of it, got "
                    f"{shown(now)}; make a new model. Of a layer only lr_scale may change.")
            check_scale(now)
            other = True
        return other or self._numbers_of(self._optimizer) != self._numbers

    @staticmethod
    def _numbers_of(optimizer):
        """What the plan holds of it: of the learning rate, which comes with every step, for how many models there is
        one."""
        return {name: value for name, value in vars(optimizer).items() if name != "lr"} | {"rates": optimizer.models}
